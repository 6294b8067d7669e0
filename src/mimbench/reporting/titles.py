"""Protocols by the names that a reader knows."""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

_NAMES = {"knn": "kNN", "finetune": "fine-tune", "fewshot": "few-shot", "cka_to_last": "CKA to the last depth"}
_FIRST = ("knn", "linear")


class _Parts(NamedTuple):
    """`linear-v1+epochs=5@cifar10`: what it is, its version, and where it differs from the card or in its data."""

    family: str
    version: str
    rest: str


def titles(names: Iterable[str]) -> dict[str, str]:
    """Protocols with the title to show, kNN and linear first; the version only where two meet."""
    parts = {name: _parts(name) for name in sorted(set(names), key=_rank)}
    versions: dict[str, set[str]] = defaultdict(set)
    for family, version, _ in parts.values():
        versions[family].add(version)
    return {name: _title(own, versioned=len(versions[own.family]) > 1) for name, own in parts.items()}


def _parts(name: str) -> _Parts:
    found = re.fullmatch(r"(.*?)-(v\d+)([+@].*)?", name)
    return _Parts(found[1], found[2], found[3] or "") if found else _Parts(name, "", "")


def _rank(protocol: str) -> tuple[int, str]:
    family = _parts(protocol).family
    return _FIRST.index(family) if family in _FIRST else len(_FIRST), protocol


def _title(parts: _Parts, versioned: bool) -> str:
    words = [_NAMES.get(parts.family, parts.family.replace("_", " ")), parts.version if versioned else "", parts.rest]
    return " ".join(word for word in words if word)

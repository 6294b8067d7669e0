"""Protocols by the names that a reader knows."""

from collections import Counter
from collections.abc import Iterable

_NAMES = {"knn": "kNN", "finetune": "fine-tune", "fewshot": "few-shot", "cka_to_last": "CKA to the last depth"}
_FIRST = ("knn", "linear")


def titles(names: Iterable[str]) -> dict[str, str]:
    """Protocols with the title to show, kNN and linear first; the version only where two meet."""
    names = sorted(set(names), key=_rank)
    versions = Counter(_family(name) for name in names)
    return {name: _title(name, versioned=versions[_family(name)] > 1) for name in names}


def _rank(protocol: str) -> tuple[int, str]:
    family = _family(protocol)
    return _FIRST.index(family) if family in _FIRST else len(_FIRST), protocol


def _family(protocol: str) -> str:
    return protocol.rsplit("-v", 1)[0]


def _title(protocol: str, versioned: bool) -> str:
    family = _family(protocol)
    version = protocol.removeprefix(family).replace("-", " ")
    return _NAMES.get(family, family.replace("_", " ")) + (version if versioned else "")

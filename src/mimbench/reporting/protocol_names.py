"""Names of protocols and their titles in reports."""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

_TITLES = {"knn": "kNN", "finetune": "fine-tune", "fewshot": "few-shot", "cka_to_last": "CKA to the last depth"}
_FIRST = ("knn", "linear")


class ProtocolName(NamedTuple):
    """The parts of a name such as `linear-v1+epochs=5@cifar10`.

    family: `linear`; the whole name if it has no version.
    version: `v1`, or empty.
    rest: Changed parameters and other data, `+epochs=5@cifar10`, or empty.
    """

    family: str
    version: str
    rest: str

    def __str__(self) -> str:
        return f"{self.family}-{self.version}{self.rest}" if self.version else self.family


def parse(name: str) -> ProtocolName:
    """The parts of a name."""
    match = re.fullmatch(r"(.*?)-(v\d+)([+@].*)?", name)
    return ProtocolName(match[1], match[2], match[3] or "") if match else ProtocolName(name, "", "")


def titles(names: Iterable[str]) -> dict[str, str]:
    """The title of each protocol, kNN and linear first; with the version only if a family has several."""
    parts = {name: parse(name) for name in sorted(set(names), key=_rank)}
    versions: dict[str, set[str]] = defaultdict(set)
    for own in parts.values():
        versions[own.family].add(own.version)
    return {name: _title(own, with_version=len(versions[own.family]) > 1) for name, own in parts.items()}


def _rank(name: str) -> tuple[int, str]:
    family = parse(name).family
    return _FIRST.index(family) if family in _FIRST else len(_FIRST), name


def _title(name: ProtocolName, with_version: bool) -> str:
    family = _TITLES.get(name.family, name.family.replace("_", " "))
    return " ".join(part for part in (family, name.version if with_version else "", name.rest) if part)

"""Numbers that papers print: shown beside ours, never averaged or compared with them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any

import yaml

FILE = "published.yaml"
_IMAGENET = {"imagenet", "imagenet-1k", "imagenet1k", "ilsvrc2012", "ilsvrc"}


@dataclass(frozen=True)
class Published:
    """One row of a published table.

    encoder, data: What the number was measured with.
    percent: By protocol family (`finetune`, `linear`, `segment`, ...), in per cent as printed.
    where: Values that a run's configuration must have, by dotted key.
    ablation: Name of the ablation in `conf/ablation` whose runs it belongs to, with any encoder and data.
    """

    source: str
    method: str
    encoder: str
    data: str
    percent: Mapping[str, float]
    where: Mapping[str, Any] = field(default_factory=dict)
    ablation: str = ""
    note: str = ""

    @property
    def text(self) -> str:
        """`finetune 84.9, linear 73.5`."""
        return ", ".join(f"{protocol} {value:g}" for protocol, value in self.percent.items())

    @property
    def origin(self) -> str:
        """Where the number is from, and what it was measured with."""
        return "; ".join(part for part in (self.source, f"{self.encoder} on {self.data}", self.note) if part)


@cache
def load() -> tuple[Published, ...]:
    """All rows of `published.yaml`.

    Raises:
        ValueError: A table or a row has an unknown key, or lacks one.
    """
    text = files("mimbench.reporting").joinpath(FILE).read_text(encoding="utf-8")
    return tuple(row for table in yaml.safe_load(text) for row in _rows(table))


def matching(axes: Mapping[str, Any], config: Mapping[str, Any], overrides: Iterable[str]) -> list[Published]:
    """The published rows of a run: equal in method and settings, and in encoder and data unless it is an ablation's.

    Of several rows of one source the one with the most settings in common stands.
    """
    ablations = {word.partition("=")[2] for word in overrides if word.lstrip("+").startswith("ablation=")}
    found: dict[str, Published] = {}
    for row in load():
        same_place = row.encoder == axes.get("encoder") and row.data == _data(axes, config)
        wanted = row.ablation in ablations if row.ablation else same_place
        if wanted and row.method == axes.get("method") and _holds(row.where, config):
            best = found.get(row.source)
            if best is None or len(row.where) > len(best.where):
                found[row.source] = row
    return list(found.values())


def _holds(where: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    return all(key in config and config[key] == value for key, value in where.items())


def _data(axes: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """The dataset; a folder, packed or not, is ImageNet when it is called so."""
    root = PurePosixPath(str(config.get("data.source.root", "")))
    named = axes.get("data") in ("folder", "shards") and root.name.lower() in _IMAGENET
    return "imagenet" if named else str(axes.get("data"))


_TABLE = ("source", "method", "encoder", "data", "ablation", "note")


def _rows(table: Mapping[str, Any]) -> Iterable[Published]:
    common = {key: value for key, value in table.items() if key in _TABLE}
    if unknown := sorted(table.keys() - {*_TABLE, "where", "rows"}):
        raise ValueError(f"{FILE}: {table.get('source')}: unknown key {unknown[0]!r}; expected {', '.join(_TABLE)}.")
    for row in table["rows"]:
        percent = {key: float(value) for key, value in row.items() if key not in (*_TABLE, "where")}
        own = {key: row[key] for key in _TABLE if key in row}
        if not percent:
            raise ValueError(f"{FILE}: {table['source']}: a row without a number: {row}.")
        yield Published(**(common | own), where=table.get("where", {}) | row.get("where", {}), percent=percent)

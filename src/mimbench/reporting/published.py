"""Published numbers: shown beside the results of a run, never averaged with them; see also `agreement`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any

import yaml

from mimbench.reporting import configs

FILE = "published.yaml"
_IMAGENET = {"imagenet", "imagenet-1k", "imagenet1k", "ilsvrc2012", "ilsvrc"}


@dataclass(frozen=True)
class Published:
    """One row of a published table.

    encoder, data: What the number was measured with.
    percent: By protocol family (`finetune`, `linear`, `segment`, ...), in percent as printed.
    where: Values that the configuration of a run must have, by dotted key.
    ablation: Name of the ablation in `conf/ablation` whose runs show the row, whatever their encoder and data.
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
        """Source of the number, and what it was measured with."""
        return "; ".join(part for part in (self.source, f"{self.encoder} on {self.data}", self.note) if part)


@cache
def load() -> tuple[Published, ...]:
    """All rows of `published.yaml`.

    Raises:
        ValueError: A table has an unknown key, or a row has no number.
    """
    text = files("mimbench.reporting").joinpath(FILE).read_text(encoding="utf-8")
    return tuple(row for table in yaml.safe_load(text) for row in _rows(table))


def matching(axes: Mapping[str, Any], config: Mapping[str, Any], overrides: Iterable[str]) -> list[Published]:
    """The published rows for a run: rows with its method and the values of `where` in its configuration.

    Rows of an ablation need the override `ablation=NAME`, other rows the same encoder and data. Of several rows of one
    source, the one with the most values in `where`.
    """
    ablations = {value for key, value in configs.options(overrides) if key == "ablation"}
    found: dict[str, Published] = {}
    for row in load():
        same_setting = row.encoder == axes.get("encoder") and row.data == _data(axes, config)
        applies = row.ablation in ablations if row.ablation else same_setting
        if applies and row.method == axes.get("method") and _holds(row.where, config):
            best = found.get(row.source)
            if best is None or len(row.where) > len(best.where):
                found[row.source] = row
    return list(found.values())


def _holds(where: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    return all(key in config and config[key] == value for key, value in where.items())


def _data(axes: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """The dataset; a folder or its shards count as ImageNet if the folder has one of the names of `_IMAGENET`."""
    root = PurePosixPath(str(config.get("data.source.root", "")))
    is_imagenet = axes.get("data") in ("folder", "shards") and root.name.lower() in _IMAGENET
    return "imagenet" if is_imagenet else str(axes.get("data"))


_KEYS = ("source", "method", "encoder", "data", "ablation", "note")


def _rows(table: Mapping[str, Any]) -> Iterable[Published]:
    common = {key: value for key, value in table.items() if key in _KEYS}
    if unknown := sorted(table.keys() - {*_KEYS, "where", "rows"}):
        raise ValueError(f"{FILE}: {table.get('source')}: unknown key {unknown[0]!r}; expected {', '.join(_KEYS)}.")
    for row in table["rows"]:
        percent = {key: float(value) for key, value in row.items() if key not in (*_KEYS, "where")}
        own = {key: row[key] for key in _KEYS if key in row}
        if not percent:
            raise ValueError(f"{FILE}: {table['source']}: a row without a number: {row}; expected e.g. finetune: 83.1.")
        yield Published(**(common | own), where=table.get("where", {}) | row.get("where", {}), percent=percent)

"""Labeled image datasets of the Hugging Face hub, or saved to disk by its library."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from mimbench.core.extras import how_to_install
from mimbench.data.holdout import HoldOut, stratified_holdout
from mimbench.data.images.files import UNREADABLE, to_tensor
from mimbench.data.images.rules import Rules
from mimbench.data.images.unreadable import Damaged
from mimbench.data.source import Source, Split, SplitName


class HubSplit(Split):
    """Rows of a table; a damaged row is counted and replaced by the next readable one, including its label."""

    def __init__(self, rows: Any, image_column: str, labels: Int64[Tensor, " n"], name: str, rules: Rules) -> None:
        self.rows, self.image_column, self.labels = rows, image_column, labels
        self.name, self.rules = name, rules

    def __getitem__(self, i: int) -> tuple[UInt8[Tensor, "3 h w"], int]:
        for step in range(len(self)):
            j = (i + step) % len(self)
            try:
                return to_tensor(self.rows[j][self.image_column], self.rules), int(self.labels[j])
            except UNREADABLE as error:
                self.rules.damaged.add(f"{self.name}, row {j}", error)
        raise ValueError(f"Not one of the {len(self)} images of {self.name} can be read.")


class Hub(Source):
    """A dataset with an image column and a label column. "val" is `val_split`, or held out of the training split.

    Args:
        path: Name on the hub, or folder written by `DatasetDict.save_to_disk`.
        configuration: Configuration of the dataset, if it has several.
        holdout: Fraction of every training class that becomes "val" when there is no val_split.
        max_damaged: Damaged images allowed per process.
        min_size: Smallest side of an image in pixels; take the patch size.
        seed: Determines the hold-out. Part of the dataset, not of a run.
    """

    def __init__(
        self,
        path: str,
        image_size: int = 224,
        configuration: str | None = None,
        train_split: str = "train",
        val_split: str | None = None,
        test_split: str = "test",
        image_column: str = "image",
        label_column: str = "label",
        holdout: float = 0.1,
        max_damaged: int = 10,
        min_size: int = 16,
        seed: int = 0,
    ) -> None:
        self.path, self.image_size, self.configuration = path, image_size, configuration
        self.names = {"train": train_split, "val": val_split, "test": test_split}
        self.image_column, self.label_column = image_column, label_column
        self.holdout, self.seed = holdout, seed
        self.rules = Rules(Damaged(max_damaged), min_size)

    @cached_property
    def _tables(self) -> Any:
        try:
            import datasets
        except ImportError as missing:
            raise ValueError(f"The hub source needs Hugging Face datasets: {how_to_install('hub')}.") from missing
        try:
            if (Path(self.path) / "dataset_dict.json").is_file():
                tables = datasets.load_from_disk(self.path)
            else:
                tables = datasets.load_dataset(self.path, self.configuration)
        except (OSError, ValueError) as failure:
            raise ValueError(
                f"The dataset {self.path!r} could not be loaded ({failure}). Check its name and the network; "
                "once it is in the cache, HF_HUB_OFFLINE=1 works without one."
            ) from failure
        self._check(tables)
        return tables

    def _check(self, tables: Any) -> None:
        for role, name in self.names.items():
            if name is not None and name not in tables:
                raise ValueError(f"{self.path} has no split {name!r} ({role}_split); it has {', '.join(tables)}.")
        for name in filter(None, self.names.values()):
            for column in (self.image_column, self.label_column):
                if column not in tables[name].column_names:
                    columns = ", ".join(tables[name].column_names)
                    raise ValueError(f"{self.path}, split {name!r}, has no column {column!r}; it has {columns}.")

    @cached_property
    def classes(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        feature = self._tables[self.names["train"]].features[self.label_column]
        if hasattr(feature, "names"):
            return tuple(feature.names)
        return tuple(map(str, self._values))

    @cached_property
    def _values(self) -> list[Any]:
        """The values of the label column in the order of the classes."""
        table = self._tables[self.names["train"]]
        feature = table.features[self.label_column]
        if hasattr(feature, "names"):
            return list(range(len(feature.names)))
        return sorted(value for value in set(table[self.label_column]) if value is not None)

    def _labels(self, name: str) -> Int64[Tensor, " n"]:
        numbers = {value: number for number, value in enumerate(self._values)}
        column: Sequence[Any] = self._tables[name][self.label_column]
        if unknown := sorted({str(value) for value in column if value not in numbers}):
            raise ValueError(
                f"{self.path}, split {name!r}, has labels that the training classes lack: {', '.join(unknown[:8])} "
                "(None or -1 stands for a missing label). Choose a labeled split."
            )
        return torch.tensor([numbers[value] for value in column])

    @cached_property
    def _holdout(self) -> HoldOut:
        return stratified_holdout(self._labels(self.names["train"] or "train"), self.holdout, self.seed)

    def prepare(self) -> None:
        _ = self._tables

    def split(self, name: SplitName) -> HubSplit:
        table_name = self.names[name] or str(self.names["train"])
        table, labels = self._tables[table_name], self._labels(table_name)
        if name != "test" and self.names["val"] is None:
            index = self._holdout.held if name == "val" else self._holdout.kept
            table, labels = table.select(index.tolist()), labels[index]
        title = f"{self.path}, {name} part of split {table_name!r}"
        return HubSplit(table, self.image_column, labels, title, self.rules)

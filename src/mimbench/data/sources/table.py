"""Images listed in CSV or Parquet tables."""

import csv
from pathlib import Path
from typing import Any, NamedTuple

import torch

from mimbench.data.holdout import stratified_holdout
from mimbench.data.images.files import FileSplit, subset
from mimbench.data.images.rules import Rules
from mimbench.data.images.unreadable import Damaged
from mimbench.data.source import Source, SplitName
from mimbench.data.sources.folder import listed


class Table(Source):
    """Images and labels from tables with the columns `path` and `label`, CSV (UTF-8) or Parquet.

    The classes are the labels of `train`, sorted, integers by value. "val" is held out of `train`; `test` is the
    test split. Without the column `label` the images have no labels, and protocols that need them are refused.

    Args:
        train, test: The tables; without `test` there is no test split.
        root: Folder of the relative paths, which must stay within it; by default the folder of the table.
        holdout: Fraction of every class of `train` that becomes "val".
        max_damaged: Damaged files allowed per process.
        min_size: Smallest side of an image in pixels; take the patch size.
        upright: Whether images are rotated and mirrored as the orientation in their EXIF data says.
        seed: Determines the hold-out. Part of the dataset, not of a run.
    """

    def __init__(
        self,
        train: str | Path,
        test: str | Path | None = None,
        root: str | Path | None = None,
        image_size: int = 224,
        holdout: float = 0.02,
        max_damaged: int = 10,
        min_size: int = 16,
        seed: int = 0,
        upright: bool = False,
    ) -> None:
        self.image_size = image_size
        rules, folder = Rules(Damaged(max_damaged), min_size, upright), Path(root) if root else None
        rows = read_table(Path(train), folder)
        names = {row.label for row in rows if row.label is not None}
        self._classes = tuple(sorted(names, key=_order(names)))
        self._train = self._split(rows, rules, str(train))
        self._test = self._split(read_table(Path(test), folder), rules, str(test)) if test else None
        self._holdout = stratified_holdout(self._train.labels, holdout, seed, self._classes)

    @property
    def classes(self) -> tuple[str, ...]:
        return self._classes

    def split(self, name: SplitName) -> FileSplit:
        if name == "test":
            if self._test is None:
                raise ValueError("There is no table of test images; set data.source.test, or evaluate on other data.")
            return self._test
        return subset(self._train, self._holdout.held if name == "val" else self._holdout.kept)

    def _split(self, rows: "list[Row]", rules: Rules, table: str) -> FileSplit:
        known = {name: label for label, name in enumerate(self._classes)}
        if unknown := sorted({row.label for row in rows if row.label is not None} - known.keys()):
            raise ValueError(f"{table} has labels that the training table lacks: {listed(unknown)}.")
        labels = [-1 if row.label is None else known[row.label] for row in rows]
        split = FileSplit([row.path for row in rows], torch.tensor(labels), rules)
        split.check_headers()
        return split


class Row(NamedTuple):
    """An image file and its label, if it has one."""

    path: str
    label: str | None


def read_table(table: Path, root: Path | None) -> list[Row]:
    """The rows of a table in order, with paths joined to `root` or to the folder of the table.

    Raises:
        ValueError: There is no such table, it has no rows or lacks `path`, labels are missing in some rows, or a path
            is outside of the folder.
    """
    if not table.is_file():
        raise ValueError(f"There is no table {table}; expected CSV or Parquet with the columns path and label.")
    try:
        columns = _parquet(table) if table.suffix == ".parquet" else _csv(table)
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(f"{table} cannot be read: {error}") from error
    if "path" not in columns:
        raise ValueError(f"{table} has the columns {listed(list(columns))}; expected path and label.")
    paths, labels = columns["path"], columns.get("label")
    if not paths:
        raise ValueError(f"{table} has no rows.")
    if labels and (empty := [place for place, label in enumerate(labels, 1) if label == ""]):
        raise ValueError(
            f"{table} has no label in row {empty[0]} and {len(empty) - 1} more; remove the rows or the column."
        )
    folder = str(root or table.parent)
    for place, path in enumerate(paths, 1):
        if not path or not _is_within(folder, path):
            raise ValueError(f"{table}, row {place}: the path {path!r} is not within {folder}; set data.source.root.")
    return [
        Row(p if p.startswith("/") else f"{folder}/{p}", labels[i] if labels else None) for i, p in enumerate(paths)
    ]


def _is_within(folder: str, path: str) -> bool:
    if not path.startswith("/") and ".." not in path:
        return True  # most of a million paths
    return Path(folder, path).resolve().is_relative_to(Path(folder).resolve())


def _csv(table: Path) -> dict[str, list[str]]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file, strict=True) if table.stat().st_size else [[]]
    if short := [place for place, row in enumerate(rows, 1) if row and len(row) != len(header)]:
        raise ValueError(f"row {short[0]} has not {len(header)} values; quote values that contain commas.")
    return {name.strip(): [row[i] for row in rows if row] for i, name in enumerate(header)}


def _parquet(table: Path) -> dict[str, list[str]]:
    try:
        from pyarrow import parquet  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError("Parquet needs the package pyarrow; install it, or save the table as CSV.") from error
    names: list[str] = parquet.read_schema(table).names
    wanted = [name for name in names if name in ("path", "label")]
    found: Any = (
        parquet.read_table(table, columns=wanted).to_pydict() if "path" in wanted else {name: [] for name in names}
    )
    return {name: ["" if value is None else str(value) for value in values] for name, values in found.items()}


def _order(names: set[str]) -> Any:
    return int if all(name.isdecimal() for name in names) else str

"""Images listed in tables."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mimbench.data import Table
from mimbench.data.sizes import training_size

NAMES = ("b/0 =,.png", "b/\n1.png", "ü.png", *(f"{number}.png" for number in range(9)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(NAMES):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((20, 24, 3), number, np.uint8)).save(tmp_path / name)
    return tmp_path


def csv(path: Path, rows: list[tuple[str, ...]], header: str = "path,label") -> Path:
    lines = [",".join(f'"{value}"' for value in row) for row in rows]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def labeled(names: tuple[str, ...] = NAMES) -> list[tuple[str, ...]]:
    return [(name, str(NAMES.index(name) % 2 * 10 + 2)) for name in names]


def test_images_and_labels_are_those_of_the_rows(folder: Path) -> None:
    train, test = csv(folder / "train.csv", labeled()), csv(folder / "test.csv", labeled(NAMES[:3]))
    source = Table(train, test, holdout=0.2)
    assert source.classes == ("2", "12")  # whole numbers by value
    assert [len(source.split(name)) for name in ("train", "val", "test")] == [10, 2, 3]
    for i, name in enumerate(NAMES[:3]):
        image, label = source.split("test")[i]
        assert image.unique().tolist() == [NAMES.index(name)]
        assert source.classes[label] == labeled()[i][1]
    assert training_size(Table, train=train, holdout=0.2) == 10


def test_parquet_says_the_same(folder: Path) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    train = csv(folder / "train.csv", labeled())
    pd.DataFrame(labeled(), columns=["path", "label"]).to_parquet(folder / "train.parquet")
    first, second = Table(train, holdout=0.2), Table(folder / "train.parquet", holdout=0.2)
    assert first.classes == second.classes
    for name in ("train", "val"):
        pairs = [
            (split := source.split(name), [split.file(i) for i in range(len(split))]) for source in (first, second)
        ]
        assert pairs[0][1] == pairs[1][1]
        assert pairs[0][0].labels.tolist() == pairs[1][0].labels.tolist()


def test_without_labels_there_are_none(folder: Path) -> None:
    source = Table(csv(folder / "train.csv", [(name,) for name in NAMES], "path"), holdout=0.2)
    assert source.classes == ()
    assert set(source.split("train").labels.tolist()) == {-1}
    with pytest.raises(ValueError, match=r"no table of test images; set data\.source\.test"):
        source.split("test")


def test_a_root_is_where_paths_begin(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    table = csv(tmp_path_factory.mktemp("tables") / "train.csv", labeled())
    split = Table(table, root=folder, holdout=0.2).split("train")
    assert split.file(0).is_relative_to(folder)
    absolute = [(str(folder / path), label) for path, label in labeled()]
    assert len(Table(csv(table, absolute), root=folder, holdout=0.2).split("train")) == 10


REFUSED = {
    "no table": (None, "There is no table"),
    "empty": ("", "has the columns ; expected path and label"),
    "another header": ("file,class\n0.png,a\n", "has the columns file, class; expected path and label"),
    "no rows": ("path,label\n", "has no rows"),
    "a label is missing": ("path,label\n0.png,a\n1.png,\n", r"has no label in row 2 and 0 more"),
    "a path that leads out": ("path,label\n../0.png,a\n", r"row 1: the path '\.\./0\.png' is not within"),
    "an absolute path": (
        "path,label\n/etc/0.png,a\n",
        r"the path '/etc/0\.png' is not within .* set data\.source\.root",
    ),
    "a comma too many": ("path,label\n0.png,a,b\n", "row 1 has not 2 values; quote values"),
    "an open quote": ('path,label\n"0.png,a\n', "cannot be read"),
    "bytes": (b"path,label\n\xff\xfe,a\n", "cannot be read"),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_other_tables_are_refused(folder: Path, content: str | bytes | None, message: str) -> None:
    if content is not None:
        (folder / "train.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ValueError, match=message):
        Table(folder / "train.csv")


def test_test_labels_that_training_lacks_are_refused(folder: Path) -> None:
    train, test = csv(folder / "train.csv", labeled()), csv(folder / "test.csv", [("0.png", "wolf")])
    with pytest.raises(ValueError, match="has labels that the training table lacks: wolf"):
        Table(train, test, holdout=0.2)

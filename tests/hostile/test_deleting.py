"""Nothing is deleted that mimbench did not make."""

from pathlib import Path

import pytest
import torch

from mimbench.core.errors import UserError
from mimbench.evaluation.features.store import Store

SHAPES = {"labels": ((1000,), torch.int64)}
ROOM = 8 * 1000 + 1000  # bytes: for one entry


def write(store: Store, key: str) -> None:
    with store.entry(key) as folder, store.writing(folder, SHAPES) as arrays:
        arrays["labels"].fill_(1)


def test_the_feature_cache_deletes_no_folder_of_others(tmp_path: Path) -> None:
    for name in ("photos", "c" * 32, "d" * 32, "e" * 32):
        (tmp_path / name).mkdir()
        (tmp_path / name / "precious.npy").write_bytes(bytes(100_000))
    (tmp_path / ("d" * 32) / ".mimbench-features").write_text("another key")
    (tmp_path / ("e" * 32) / ".mimbench-features").write_text("e" * 32)
    (tmp_path / ("e" * 32) / "notes.txt").write_text("in a folder that someone copied")
    (tmp_path / ("f" * 32)).symlink_to(tmp_path / "photos")
    store = Store(tmp_path, ROOM)
    for key in ("a" * 32, "b" * 32):
        write(store, key)
    assert not (tmp_path / ("a" * 32)).exists()
    assert (tmp_path / ("b" * 32) / "labels.npy").is_file()
    assert len(list(tmp_path.glob("*/precious.npy"))) == 5  # one of them through the link


def test_the_feature_cache_does_not_write_into_a_folder_of_others(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir()
    (tmp_path / "key" / "thesis.tex").write_text("")
    with pytest.raises(UserError, match=r"contains thesis\.tex.*paths\.cache"):
        write(Store(tmp_path, ROOM), "key")
    assert [path.name for path in (tmp_path / "key").iterdir()] == ["thesis.tex"]


def test_entries_of_earlier_versions_are_adopted(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir()
    (tmp_path / "key" / "labels.npy").write_bytes(b"")
    write(Store(tmp_path, ROOM), "key")
    assert (tmp_path / "key" / ".mimbench-features").read_text() == "key"

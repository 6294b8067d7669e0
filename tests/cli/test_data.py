"""`mimbench data` as it is typed."""

from pathlib import Path

import pytest
from PIL import Image

from mimbench.cli import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            (tmp_path / "folder" / split / name).mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (32, 32), (number, 0, 0)).save(tmp_path / "folder" / split / name / f"{number}.png")
    return tmp_path / "folder"


def test_a_folder_is_packed_checked_and_the_next_command_told(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["data", "pack", str(folder), str(out)]) == 0
    said = capsys.readouterr().out
    assert "12 images of 2 classes in 2 shards" in said
    assert f"data=shards data.source.root={out}" in said
    assert main(["data", "check", str(out)]) == 0
    assert "All 2 shards match their checksums." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pack", "{tmp}/nowhere", "{tmp}/out"], "There is no folder"),
        (["pack", "{tmp}/folder", "{tmp}/out", "--shard-mb", "0"], "holds nothing; take a size above 0"),
        (["check", "{tmp}/folder"], "makes it"),
        (["pack", "{tmp}/folder", "{tmp}/folder/val/cat/0.png"], "cannot be read or written"),
    ],
)
def test_mistakes_are_told_in_one_line(
    folder: Path, tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", *(word.replace("{tmp}", str(tmp_path)) for word in words)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mimbench data: ")
    assert message in error
    assert error.count("\n") == 1

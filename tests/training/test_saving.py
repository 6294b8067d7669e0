"""The newest complete checkpoint is used."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mimbench.runs.directory import checkpoint
from mimbench.training import AtomicCheckpointIO, NotSavedError

Make = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the checkpoints of step 1 and step 2."""
    folder = tmp_path / "checkpoints"
    for step in (1, 2):
        AtomicCheckpointIO().save_checkpoint({"step": step, "weights": torch.rand(1000)}, folder / "last.ckpt")
    return folder


def step(path: Path | None) -> int | None:
    return None if path is None else torch.load(path, weights_only=True)["step"]


def flip(path: Path) -> None:
    """Changes one bit of a weight, which PyTorch loads without an error."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert torch.load(path, weights_only=True)


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


DAMAGES = [flip, halve, empty, zero]


def test_the_newest_checkpoint_is_used_and_the_previous_one_kept(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {"last.ckpt", "previous.ckpt"}
    assert step(checkpoint(folder.parent, set_aside=True)) == 2
    (folder / "last.ckpt").unlink()
    assert step(checkpoint(folder.parent, set_aside=True)) == 1
    (folder / "previous.ckpt").unlink()
    assert checkpoint(folder.parent, set_aside=True) is None


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_renamed_and_reported(
    folder: Path, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    damage(folder / "last.ckpt")
    assert step(checkpoint(folder.parent, set_aside=True)) == 1
    assert "last.ckpt is damaged" in capsys.readouterr().err
    AtomicCheckpointIO().save_checkpoint({"step": 3}, folder / "last.ckpt")
    assert step(folder / "previous.ckpt") == 1  # the damaged file has not replaced it
    assert step(checkpoint(folder.parent, set_aside=True)) == 3
    assert capsys.readouterr().err == ""


def test_with_two_damaged_checkpoints_there_is_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in folder.glob("*.ckpt"):
        halve(path)
    assert checkpoint(folder.parent, set_aside=True) is None
    assert capsys.readouterr().err.count("is damaged") == 2


def test_a_failed_write_reports_the_systems_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        try:
            raise OSError(28, os.strerror(28))
        finally:
            raise RuntimeError("unexpected pos 704 vs 598")  # as PyTorch's writer does

    monkeypatch.setattr(torch, "save", refuse)
    with pytest.raises(
        NotSavedError, match=r"No space left on device while writing .*last\.ckpt; the previous"
    ) as error:
        AtomicCheckpointIO().save_checkpoint({"step": 3}, folder / "last.ckpt")
    assert error.value.errno == 28
    assert step(checkpoint(folder.parent, set_aside=True)) == 2


def test_other_errors_are_not_converted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr(torch, "save", refuse)
    with pytest.raises(RuntimeError, match="something else"):
        AtomicCheckpointIO().save_checkpoint({"step": 3}, folder / "last.ckpt")


@pytest.mark.parametrize("damage", DAMAGES[:2])
def test_a_run_with_a_damaged_checkpoint_resumes_from_the_previous_one(
    new_run: Make, do: Make, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(*_: Any) -> None:
        raise ZeroDivisionError

    whole, parts = new_run("whole", epochs=4), new_run("parts", epochs=4)
    whole.train()
    with pytest.raises(ZeroDivisionError):
        parts.train([do("on_train_batch_end", 8, crash)])
    damage(parts.checkpoint)
    resumed: list[int] = []
    parts.train([do("on_train_start", 1, lambda trainer, _: resumed.append(trainer.global_step))])
    assert resumed == [3]
    assert "is damaged" in capsys.readouterr().err
    assert parts.same(whole)


def test_a_finished_run_keeps_one_checkpoint(new_run: Make) -> None:
    run = new_run(epochs=3)
    run.train()
    assert [path.name for path in run.checkpoint.parent.iterdir()] == ["last.ckpt"]


def test_a_moved_run_resumes_exactly(new_run: Make, do: Make) -> None:
    def crash(*_: Any) -> None:
        raise ZeroDivisionError

    whole, parts, moved = (new_run(name, epochs=3) for name in ("whole", "parts", "moved"))
    whole.train()
    with pytest.raises(ZeroDivisionError):
        parts.train([do("on_train_batch_end", 8, crash)])
    parts.directory.rename(moved.directory)
    moved.train()
    assert moved.same(whole)

"""A resumed run equals an uninterrupted one."""

import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from mimbench.training import AtomicCheckpointIO, InterruptedRun

Make = Callable[..., Any]


def interrupt(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def crash(*_: Any) -> None:
    raise RuntimeError("killed")


@pytest.mark.parametrize(
    ("options", "batches"),
    [
        pytest.param({}, [2], id="within an epoch"),
        pytest.param({}, [3], id="at an epoch's last batch"),
        pytest.param({}, [6], id="at the last batch of the run"),
        pytest.param({"epochs": 4}, [3, 4, 2], id="three times"),
        pytest.param({"steps": 8}, [2, 3], id="on a budget of steps"),
        pytest.param({"ema": 0.9}, [1, 3], id="with averaged weights"),
        pytest.param({"trainer_options": {"accumulate_grad_batches": 2}}, [3], id="during accumulation"),
        pytest.param({"num_workers": 2}, [2], id="with two workers"),
        pytest.param({"epochs": 5, "batch_size": 48}, [1, 2], id="with one batch per epoch"),
    ],
)
def test_stopped_by_a_signal_and_resumed_equals_uninterrupted(
    new_run: Make, do: Make, options: dict[str, Any], batches: list[int]
) -> None:
    whole, parts = new_run("whole", **options), new_run("parts", **options)
    expected = whole.train()
    for batch in batches:
        with pytest.raises(InterruptedRun):
            parts.train([do("on_train_batch_end", batch, interrupt)])
    result = parts.train()
    assert parts.same(whole)
    assert result.images == expected.images


@pytest.mark.parametrize("seed", range(4))
def test_stopped_repeatedly_at_random_and_resumed_equals_uninterrupted(new_run: Make, do: Make, seed: int) -> None:
    draws = random.Random(seed)
    options: dict[str, Any] = draws.choice([{"epochs": 4}, {"steps": 11}, {"epochs": 3, "ema": 0.9}])
    options |= {"trainer_options": {"accumulate_grad_batches": draws.choice([1, 2, 4])}}
    options |= {"checkpoint_every_n_epochs": draws.choice([1, 3])}
    whole, parts = new_run("whole", **options), new_run("parts", **options)
    whole.train()
    for _ in range(4):
        hook = draws.choice(["on_train_batch_start", "on_train_batch_end"])
        with suppress(InterruptedRun, RuntimeError):
            parts.train([do(hook, draws.randint(1, 9), draws.choice([interrupt, interrupt, crash]))])
    parts.train()
    assert parts.same(whole)


def test_a_row_that_was_due_at_the_stop_is_written(new_run: Make, do: Make) -> None:
    whole, parts = (new_run(name, epochs=1, batch_size=4) for name in ("whole", "parts"))
    whole.train()
    with pytest.raises(InterruptedRun, match="at step 10"):
        parts.train([do("on_train_batch_end", 10, interrupt)])
    [row] = parts.values("train/loss")
    assert row == whole.values("train/loss")[0]
    assert row[0] == 9


@pytest.mark.parametrize(
    ("hook", "times"),
    [
        ("on_train_batch_end", 5),
        ("on_validation_batch_start", 2),
        ("on_validation_end", 2),
        ("on_train_epoch_end", 2),
        ("on_train_epoch_start", 3),
        ("on_train_end", 1),
    ],
)
@pytest.mark.parametrize("budget", [{"epochs": 3}, {"steps": 9}], ids=["epochs", "steps"])
def test_killed_anywhere_after_an_epochs_checkpoint_and_resumed_equals_uninterrupted(
    new_run: Make, do: Make, hook: str, times: int, budget: dict[str, int]
) -> None:
    whole, parts = new_run("whole", **budget), new_run("parts", **budget)
    whole.train()
    with pytest.raises(RuntimeError, match="killed"):
        parts.train([do(hook, times, crash)])
    assert parts.checkpoint.exists()
    resumed_at: list[int] = []
    parts.train([do("on_train_start", 1, lambda trainer, _: resumed_at.append(trainer.global_step))])
    assert resumed_at[0] in (3, 6)
    assert parts.same(whole)


def test_killed_before_the_first_checkpoint_starts_again(new_run: Make, do: Make) -> None:
    whole, parts = new_run("whole"), new_run("parts")
    whole.train()
    with pytest.raises(RuntimeError, match="killed"):
        parts.train([do("on_train_epoch_end", 1, crash)])
    assert not parts.checkpoint.exists()
    assert parts.values("val/loss")
    parts.train()
    assert parts.same(whole)


def test_a_finished_run_trains_no_further_and_returns_the_same_results(new_run: Make, do: Make) -> None:
    run = new_run(ema=0.9)
    first = run.train()
    weights, rows = run.weights, run.rows
    second = run.train([do("on_train_batch_start", 1, crash)])
    assert second == first
    assert run.rows == rows
    assert all(torch.equal(weights[name], value) for name, value in run.weights.items())


def test_a_run_starts_from_another_checkpoint_but_prefers_its_own(new_run: Make, do: Make) -> None:
    whole, first, second = new_run("whole"), new_run("first"), new_run("second")
    whole.train()
    with pytest.raises(InterruptedRun):
        first.train([do("on_train_batch_end", 2, interrupt)])
    steps: list[int] = []
    for batch in (2, 100):
        watch = do("on_train_start", 1, lambda trainer, _: steps.append(trainer.global_step))
        stop = do("on_train_batch_end", batch, interrupt)
        try:
            second.train([watch, stop], resume=first.checkpoint)
        except InterruptedRun:
            continue
    assert steps == [2, 4]
    assert all(torch.equal(whole.weights[name], value) for name, value in second.weights.items())


def test_checkpoints_are_saved_every_n_epochs_and_at_the_end(new_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    save = AtomicCheckpointIO.save_checkpoint

    def record(self: AtomicCheckpointIO, checkpoint: dict[str, Any], path: Path, storage_options: Any) -> None:
        saved.append(checkpoint["global_step"])
        save(self, checkpoint, path, storage_options)

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", record)
    new_run(epochs=5, checkpoint_every_n_epochs=2).train()
    assert saved == [6, 12, 15]


def test_a_checkpoint_is_plain_data(new_run: Make) -> None:
    run = new_run(ema=0.9)
    run.train()
    assert torch.load(run.checkpoint, weights_only=True)["global_step"] == 6


def full_disk(checkpoint: Any, file: Any) -> None:
    file.write(b"half a checkpoint")
    file.flush()
    raise OSError(28, "No space left on device")


def test_a_failed_write_leaves_the_former_checkpoint_and_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deep" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)
    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        AtomicCheckpointIO().save_checkpoint({"step": 2}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert [p.name for p in path.parent.iterdir()] == ["last.ckpt"]


def test_the_new_checkpoint_is_on_disk_before_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: (done.append("sync"), sync(number)))
    monkeypatch.setattr(Path, "replace", lambda path, target: (done.append("rename"), replace(path, target))[1])
    AtomicCheckpointIO().save_checkpoint({"step": 1}, tmp_path / "last.ckpt")
    assert done == ["sync", "rename", "sync"]  # the file, then its name


def test_a_full_disk_ends_the_run_which_then_resumes_exactly(new_run: Make, do: Make) -> None:
    whole, parts = new_run("whole", epochs=3), new_run("parts", epochs=3)
    whole.train()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(OSError, match="No space"):
        parts.train([do("on_train_batch_end", 5, lambda *_: patch.setattr(torch, "save", full_disk))])
    assert torch.load(parts.checkpoint, weights_only=True)["global_step"] == 3
    parts.train()
    assert parts.same(whole)


def test_a_partially_written_file_is_not_used_as_a_checkpoint(new_run: Make, do: Make) -> None:
    whole, parts = new_run("whole"), new_run("parts")
    whole.train()
    parts.checkpoint.parent.mkdir(parents=True)
    (parts.checkpoint.parent / ".last.ckpt.0123456789ab.tmp").write_bytes(b"half a checkpoint")
    parts.train()
    assert parts.same(whole)

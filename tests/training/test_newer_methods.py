"""Newer methods and newer keys of the recipe in training: they resume exactly."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from tiny_runs import RECIPE, Do, Run, make_newer

from mimbench.methods import Method
from mimbench.training import InterruptedRun

NAMES = ("mff", "crossmae", "ijepa")
SMALL = {"dim": 16, "num_blocks": 1, "num_heads": 2}
NEWER = replace(RECIPE, clip_norm=0.1, start_lr=1e-3, final_weight_decay=0.4, ahead=True)


def make(name: str) -> Method:
    return make_newer(name, NEWER)


@pytest.mark.parametrize("name", NAMES)
def test_an_interrupted_training_resumes_bit_for_bit(name: str, tmp_path: Path) -> None:
    whole, stopped = Run(tmp_path / "whole"), Run(tmp_path / "stopped")
    whole.train(method=make(name))
    with pytest.raises(InterruptedRun, match="at step 4"):
        stopped.train([Do("on_train_batch_start", 4, lambda *_: os.kill(os.getpid(), signal.SIGTERM))], make(name))
    stopped.train(method=make(name))
    assert stopped.same(whole)


def test_gradients_are_clipped_to_the_recipes_norm(tmp_path: Path) -> None:
    norms: list[float] = []

    class Norms(L.Callback):
        def on_before_zero_grad(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Any) -> None:
            gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
            norms.append(float(torch.nn.utils.get_total_norm(gradients)) if gradients else 0.0)

    for limit in (None, 0.01):
        norms.clear()
        method = make("mff")
        method.recipe = replace(RECIPE, clip_norm=limit)
        Run(tmp_path / str(limit)).train([Norms()], method)
        assert all(norm <= 0.01 * (1 + 1e-3) for norm in norms) is (limit is not None)
        assert max(norms) > 0


def test_the_weight_decay_of_a_run_ends_at_its_final_value(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.train(method=make("crossmae"))
    [state] = torch.load(run.checkpoint, weights_only=True)["optimizer_states"]
    decayed, undecayed = (group["weight_decay"] for group in state["param_groups"])
    assert (decayed, undecayed) == (pytest.approx(0.4), 0.0)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_average_moves_once_per_optimizer_step_with_the_updated_weights(accumulate: int, tmp_path: Path) -> None:
    method = make("ijepa")
    method.momentum = (0.5, 1.0)
    seen: list[tuple[torch.Tensor, ...]] = []

    class Watch(L.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            seen.append(tuple(e.trunk.norm.bias.detach().clone() for e in (method.encoder, method.target.encoder)))

    options = {"accumulate_grad_batches": accumulate}
    Run(tmp_path / "run", {"trainer_options": options}).train([Watch()], method)
    stepped = seen[accumulate - 1 :: accumulate]
    assert len(stepped) == 6
    previous = torch.zeros(16)
    for step, (online, average) in enumerate(stepped):
        share = 0.5 + 0.5 * step / 6
        torch.testing.assert_close(average, share * previous + (1 - share) * online)
        previous = average

"""Newer methods and newer keys of the recipe in training: they resume exactly."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from tiny_runs import RECIPE, Do, Run

from mimbench.encoders import vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MFF, CrossMAE, Method
from mimbench.targets import PixelTarget
from mimbench.training import InterruptedRun

NAMES = ("mff", "crossmae")
SMALL = {"dim": 16, "num_blocks": 1, "num_heads": 2}
NEWER = replace(RECIPE, clip_norm=0.1, start_lr=1e-3, final_weight_decay=0.4, ahead=True)


def make(name: str) -> Method:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder, masker = vit(32, 8, 16, 2, 2), RandomMasker()
        if name == "mff":
            method = MFF(encoder, masker, PixelTarget, **SMALL)
        else:
            method = CrossMAE(encoder, masker, PixelTarget, **SMALL)
    method.recipe = NEWER
    return method


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

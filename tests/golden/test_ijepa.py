"""Our I-JEPA takes the same optimizer steps as the released training, and its average follows."""

from typing import Any

import formulas
import numpy as np
import pytest
import torch
from cases.ijepa import IJEPACase
from formulas import deviation
from torch import Tensor

from mimbench.optim import Recipe


def relative(recorded: Any, value: Tensor) -> float:
    return deviation(recorded, value.detach().double().numpy())


def test_two_steps_equal_the_released_ones(steps: IJEPACase, precision: str, tolerance: float):
    case, c = steps, steps.config
    recorded, dtype = case.document[precision], getattr(torch, precision)
    method = case.build()
    case.format.load({name: torch.from_numpy(value) for name, value in case.released.items()}, method)
    method.to(dtype).train()
    images = torch.from_numpy(formulas.image(c["img_size"])).to(dtype)
    assert {c["start_lr"], c["final_lr"]} == {c["lr"]}  # the schedules are tested in tests/optim
    recipe = Recipe(base_lr=c["lr"], weight_decay=c["weight_decay"], betas=(0.9, 0.999), fused=False)
    optimizer = recipe.optimizer(method, 256)
    total = c["iterations_per_epoch"] * c["epochs"] * c["ipe_scale"]
    for number in range(2):
        wanted = recorded[f"step{number + 1}"]
        output = method(images, case.regions())
        if number:
            assert deviation(wanted["loss"], output.loss.item()) < tolerance
            for term, value in zip(wanted["loss_terms"], output.terms.values(), strict=True):
                assert deviation(term, value.item()) < tolerance
        optimizer.zero_grad()
        output.loss.backward()
        if number:
            norm = np.linalg.norm([p.grad.norm().item() for p in method.parameters() if p.grad is not None])
            assert deviation(wanted["grads_total_l2"], norm) < tolerance
        assert {group["lr"] for group in optimizer.param_groups} == {wanted["lr"]}
        assert {group["weight_decay"] for group in optimizer.param_groups} == set(wanted["weight_decay"])
        optimizer.step()
        momentum = method.momentum_at(number, total)
        assert momentum == pytest.approx(wanted["momentum"])
        method.target.update(method.encoder, momentum)
        compare(case, method, wanted["after"], tolerance)


def compare(case: IJEPACase, method: Any, after: dict[str, Any], tolerance: float) -> None:
    own = method.state_dict()
    state = {theirs: own[ours] for ours, theirs in case.format.names(method).items() if ours in own}
    assert any(isinstance(wanted, dict) for wanted in after.values())
    for name, wanted in after.items():
        if isinstance(wanted, dict):
            assert relative(wanted, state[name]) < tolerance, name
        else:
            model = name.removesuffix(": l2 of all parameters")
            # The predictor's table is a buffer here, and a parameter there.
            parts = [value for entry, value in state.items() if entry.startswith(f"{model}.")]
            parts += [method.predictor.positions] if model == "predictor" else []
            norm = np.linalg.norm([part.double().norm().item() for part in parts])
            assert deviation(wanted, norm) < tolerance, name

"""Steps on a GPU: `make test-gpu`. With `--device cpu` they rehearse, but for what only a GPU has."""

import copy
from typing import Any

import pytest
import torch

from mimbench.benchmarking import MethodStep, Setting, compare_memory
from mimbench.benchmarking.comparison import synchronizations
from mimbench.experiments.build import build_model
from mimbench.experiments.composition.compose import composer
from mimbench.experiments.config import resolve
from mimbench.methods import Method
from mimbench.targets import Target, target_values
from mimbench.training.compilation import compile_blocks

pytestmark = pytest.mark.gpu

SMALL = "experiment=demo data=digits"
SWIN = "encoder=swin_tiny masker=shared data.image_size=64 data.patch_size=2 encoder.window=4"
WORDS = {
    "mae": f"{SMALL} method=mae",
    "deepmim": f"{SMALL} method=deepmim",
    "localmim": f"{SMALL} method=localmim",
    "mirl": f"{SMALL} method=mirl",
    "localmim_swin": f"method=localmim data=digits {SWIN}",
}
# Swin packs its windows on the CPU, which waits for the mask.
ALLOWED_WAITS = {"localmim_swin": 1}


@pytest.fixture(params=WORDS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def built(name: str) -> Method:
    torch.manual_seed(0)
    with composer(WORDS[name].split()) as hydra:
        [config] = [resolve(config) for config in hydra.configs(hydra.jobs())]
    method = build_model(config)[1]
    assert method is not None
    return method


def side_of(method: Method) -> int:
    tap = method.encoder.taps[0]
    return tap.grid[0] * tap.cell


def images_of(method: Method, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    side = side_of(method)
    return torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(1)).to(dtype)


def stepped(method: Method, images: torch.Tensor) -> tuple[Any, list[torch.Tensor]]:
    output = method(images, method.draw_mask(torch.arange(len(images), device=images.device), 1, 1))
    output.loss.backward()
    return output, [p.grad.cpu() for p in method.parameters() if p.grad is not None]


def test_a_step_in_double_precision_is_that_of_a_cpu(name: str, device: torch.device) -> None:
    method = built(name).double().train()
    images = images_of(method, torch.float64)
    there, gradients_there = stepped(copy.deepcopy(method).to(device), images.to(device))
    here, gradients_here = stepped(method, images)
    assert torch.equal(there.mask.hidden.cpu(), here.mask.hidden)
    torch.testing.assert_close(there.loss.cpu(), here.loss, rtol=1e-11, atol=0)
    for found, wanted in zip(gradients_there, gradients_here, strict=True):
        assert (found - wanted).norm() <= 1e-9 * wanted.norm() + 1e-14


def test_a_step_in_fp32_is_that_of_a_cpu_but_for_rounding(name: str, device: torch.device) -> None:
    method = built(name).train()
    images = images_of(method)
    there, _ = stepped(copy.deepcopy(method).to(device), images.to(device))
    here, _ = stepped(method, images)
    torch.testing.assert_close(there.loss.cpu(), here.loss, rtol=1e-4, atol=0)


def test_in_bf16_targets_and_loss_are_fp32(name: str, device: torch.device) -> None:
    method = built(name).to(device).train()
    images = images_of(method).to(device)
    mask = method.draw_mask(torch.arange(len(images), device=device), 1, 1)
    with torch.no_grad():
        exact = method(images, mask, hidden_only=True).loss
        with torch.autocast(device.type, torch.bfloat16):
            output = method(images, mask, hidden_only=True)
            targets = [module for module in method.modules() if isinstance(module, Target)]
            values = target_values(targets, images, mask)
    assert output.loss.dtype == torch.float32
    assert {value.dtype for value in values.values()} == {torch.float32}
    torch.testing.assert_close(output.loss, exact, rtol=0.02, atol=0)


def test_compiled_blocks_compute_the_same(name: str, device: torch.device) -> None:
    eager = built(name).to(device).train()
    compiled = copy.deepcopy(eager)
    assert compile_blocks(compiled) > 0
    images = images_of(eager).to(device)
    (expected, wanted), (output, found) = stepped(eager, images), stepped(compiled, images)
    torch.testing.assert_close(output.loss, expected.loss, rtol=1e-4, atol=0)
    for a, b in zip(found, wanted, strict=True):
        assert (a - b).norm() <= 1e-2 * b.norm() + 1e-6


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_host_never_waits_in_a_step(name: str, device: torch.device, precision: str) -> None:
    if device.type != "cuda":
        pytest.skip("only a GPU is waited for")
    method = built(name)
    step = MethodStep(method, side_of(method), Setting(device, 8, precision))
    step()  # the first one makes AdamW's moments
    assert synchronizations(step) == ALLOWED_WAITS.get(name, 0)


def test_checkpointing_saves_memory(device: torch.device) -> None:
    if device.type != "cuda":
        pytest.skip("only a GPU's allocator tells its peak")
    rows = compare_memory(built("mae"), 32, Setting(device, 512))
    assert rows["checkpointed_bytes"] < rows["plain_bytes"]

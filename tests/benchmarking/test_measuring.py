"""Methods of measurement; no test depends on how long anything took."""

import pytest
import torch
from torch import Tensor

from mimbench.benchmarking import (
    Counts,
    MethodStep,
    Setting,
    TransformersProcess,
    TransformersStep,
    compare,
    compare_loading,
    fastest_batch,
    measure_interleaved,
    transformers_sizes,
)
from mimbench.benchmarking.loading import waiting_share
from mimbench.benchmarking.memory import memory_bytes
from mimbench.data import Digits, ImageDataModule
from mimbench.encoders import vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE
from mimbench.targets import PixelTarget

SETTING = Setting(torch.device("cpu"), batch=2)


def mae(num_blocks: int = 1) -> MAE:
    torch.manual_seed(0)
    return MAE(vit(32, 8, 16, 2, 2), RandomMasker(), PixelTarget, dim=16, num_blocks=num_blocks, num_heads=2)


def test_candidates_alternate_in_both_orders_after_a_warm_up() -> None:
    calls: list[str] = []

    def candidate(name: str) -> int:
        calls.append(name)
        return len(calls)

    found = measure_interleaved({"a": lambda: candidate("a"), "b": lambda: candidate("b")}, rounds=2)
    assert "".join(calls) == "abbaab"
    assert found == {"a": [4, 5], "b": [3, 6]}


def test_a_step_trains() -> None:
    step = MethodStep(mae(), 32, SETTING)
    before = [p.clone() for p in step.method.parameters() if p.requires_grad]
    assert list(step()) == ["mask", "forward", "backward", "optimizer"]
    after = [p for p in step.method.parameters() if p.requires_grad]
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True) if b.ndim > 1)
    assert all(p.grad is None for p in after)


def test_rates_follow_from_counts_and_seconds() -> None:
    steps = {"one": MethodStep(mae(), 32, SETTING), "two": MethodStep(mae(), 32, SETTING)}
    counts = {"one": Counts(1000, 0, 1), "two": Counts(3000, 1000, 1)}
    result = compare(steps, counts, SETTING, rounds=1, baselines={})
    one, two = result["rows"]
    assert one["flops_per_second_of_first"] == 1
    assert two["flops_per_second"] == 2 * 2000 / two["seconds"][0]  # batch size times FLOPs without targets
    assert two["flops_per_second_of_first"] == 2 * one["seconds"][0] / two["seconds"][0]
    assert two["mfu"] == two["flops_per_second"] / result["matrix_flops_per_second"]
    assert one["synchronizations"] is None
    assert sum(one["parts"].values()) <= one["seconds"][0] * (1 + 1e-9)


def test_memory_grows_by_the_tensors_of_a_block() -> None:
    one, two = (memory_bytes(MethodStep(mae(blocks), 32, SETTING))[0] for blocks in (1, 2))
    block = sum(p.nbytes for p in mae().decoders[0].blocks[0].parameters())  # pyright: ignore
    tokens = 2 * 17 * 16 * 4
    assert two - one > 4 * block + 8 * tokens  # weights, gradients, moments; qkv and MLP alone save more


def test_transformers_has_the_parameters_of_our_mae() -> None:
    method = mae(num_blocks=2)
    baseline = TransformersStep(transformers_sizes(method, 32), method.recipe, SETTING)
    ours = sum(p.numel() for p in method.parameters())
    extra = 17 * 16  # its positions of the decoder are a parameter
    assert sum(p.numel() for p in baseline.model.parameters()) == ours + extra
    assert list(baseline()) == ["forward", "backward", "optimizer"]


def test_transformers_runs_in_a_separate_process() -> None:
    method = mae()
    baseline = TransformersProcess(transformers_sizes(method, 32), method.recipe, SETTING, keep_memory=False)
    steps = {"ours": MethodStep(method, 32, SETTING)}
    result = compare(steps, {"ours": Counts(1, 0, 1)}, SETTING, rounds=1, baselines={"theirs": baseline})
    [theirs] = result["baselines"]
    assert theirs["speedup"] == theirs["seconds"][0] / result["rows"][0]["seconds"][0]


def test_the_exit_status_of_a_process_is_in_the_error() -> None:
    method = mae()
    baseline = TransformersProcess({"image_size": "wide"}, method.recipe, SETTING, keep_memory=False)
    with pytest.raises(RuntimeError, match="status 1"):
        baseline()


def test_the_batch_size_doubles_until_memory_or_gain_is_insufficient() -> None:
    def until(limit: int, saturated: int):
        def rate(batch: int) -> float:
            if batch > limit:
                raise torch.OutOfMemoryError
            return min(batch, saturated)

        return rate

    assert fastest_batch(until(limit=300, saturated=10_000)) == 256
    assert fastest_batch(until(limit=10_000, saturated=100)) == 128
    assert fastest_batch(until(limit=10**6, saturated=10**6)) == 4096


def test_waiting_depends_on_the_number_of_workers() -> None:
    assert waiting_share(loading=1, training=4, workers=0) == 0.2
    assert waiting_share(loading=1, training=4, workers=2) == 0
    assert waiting_share(loading=4, training=1, workers=2) == 0.75


def test_loader_and_step_are_compared_on_real_data() -> None:
    data = ImageDataModule(Digits(image_size=32), batch_size=8)
    data.setup("fit")
    result = compare_loading(data, MethodStep(mae(), 32, Setting(torch.device("cpu"), 8)), rounds=1)
    share = waiting_share(1 / result["loader_images_per_second"], 1 / result["step_images_per_second"], 0)
    assert abs(result["waiting_share"] - share) < 1e-9
    assert result["bound"] == ("input-bound" if share > 0.1 else "compute-bound")


def test_noise_is_reproducible() -> None:
    images: Tensor = SETTING.images(8)
    assert torch.equal(images, SETTING.images(8))

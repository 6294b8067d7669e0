"""How things are measured; no test looks at how long anything took."""

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
    peer_sizes,
    take_turns,
)
from mimbench.benchmarking.loading import waiting_share
from mimbench.benchmarking.memory import held_bytes
from mimbench.data import Digits, ImageDataModule
from mimbench.encoders import vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE
from mimbench.targets import PixelTarget

SETTING = Setting(torch.device("cpu"), batch=2)


def mae(num_blocks: int = 1) -> MAE:
    torch.manual_seed(0)
    return MAE(vit(32, 8, 16, 2, 2), RandomMasker(), PixelTarget, dim=16, num_blocks=num_blocks, num_heads=2)


def test_candidates_take_turns_there_and_back_and_warm_up_unseen() -> None:
    calls: list[str] = []

    def candidate(name: str) -> int:
        calls.append(name)
        return len(calls)

    found = take_turns({"a": lambda: candidate("a"), "b": lambda: candidate("b")}, rounds=2)
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
    result = compare(steps, counts, SETTING, rounds=1, peers={})
    one, two = result["rows"]
    assert one["flops_per_second_of_first"] == 1
    assert two["flops_per_second"] == 2 * 2000 / two["seconds"][0]  # batch times what is not the targets'
    assert two["flops_per_second_of_first"] == 2 * one["seconds"][0] / two["seconds"][0]
    assert two["mfu"] == two["flops_per_second"] / result["matrix_flops_per_second"]
    assert one["synchronisations"] is None
    assert sum(one["parts"].values()) <= one["seconds"][0] * (1 + 1e-9)


def test_memory_grows_by_what_a_block_keeps() -> None:
    one, two = (held_bytes(MethodStep(mae(blocks), 32, SETTING))[0] for blocks in (1, 2))
    block = sum(p.nbytes for p in mae().decoders[0].blocks[0].parameters())  # pyright: ignore
    tokens = 2 * 17 * 16 * 4
    assert two - one > 4 * block + 8 * tokens  # weights, gradients and moments; qkv and the MLP alone keep more


def test_transformers_does_the_same_work_as_our_mae() -> None:
    """The same parameters, and the operations that it cannot leave out."""
    method = mae(num_blocks=2)
    peer = TransformersStep(peer_sizes(method, 32), method.recipe, SETTING)
    ours = sum(p.numel() for p in method.parameters())
    extra = 17 * 16  # it keeps the decoder's positions as a parameter
    assert sum(p.numel() for p in peer.model.parameters()) == ours + extra
    assert list(peer()) == ["forward", "backward", "optimizer"]


def test_transformers_steps_in_a_process_of_its_own() -> None:
    method = mae()
    peer = TransformersProcess(peer_sizes(method, 32), method.recipe, SETTING, keep_memory=False)
    steps = {"ours": MethodStep(method, 32, SETTING)}
    result = compare(steps, {"ours": Counts(1, 0, 1)}, SETTING, rounds=1, peers={"theirs": peer})
    [theirs] = result["peers"]
    assert theirs["times_as_fast"] == theirs["seconds"][0] / result["rows"][0]["seconds"][0]


def test_a_process_that_ends_says_with_which_status() -> None:
    method = mae()
    peer = TransformersProcess({"image_size": "wide"}, method.recipe, SETTING, keep_memory=False)
    with pytest.raises(RuntimeError, match="status 1"):
        peer()


def test_the_batch_doubles_until_memory_or_gain_ends() -> None:
    def until(limit: int, saturated: int):
        def rate(batch: int) -> float:
            if batch > limit:
                raise torch.OutOfMemoryError
            return min(batch, saturated)

        return rate

    assert fastest_batch(until(limit=300, saturated=10_000)) == 256
    assert fastest_batch(until(limit=10_000, saturated=100)) == 128
    assert fastest_batch(until(limit=10**6, saturated=10**6)) == 4096


def test_waiting_depends_on_whether_workers_load_meanwhile() -> None:
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


def test_noise_is_the_same_for_all() -> None:
    images: Tensor = SETTING.images(8)
    assert torch.equal(images, SETTING.images(8))

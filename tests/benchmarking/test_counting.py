"""Operations of a training step, which do not depend on the load of the machine."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mimbench.benchmarking import count_step
from mimbench.encoders import vit
from mimbench.experiments.benchmarks import counts
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE, LocalMIM, Method
from mimbench.targets import HOGTarget, PixelTarget, Teacher, TeacherTarget

KNOWN = Path(__file__).parents[2] / "benchmarks" / "counts.json"
UPDATE = "If this is intended: mimbench bench counts --output benchmarks/counts.json"


def mae(target: Callable[[int], Any] = PixelTarget) -> Method:
    return MAE(vit(32, 8, 16, 2, 2), RandomMasker(), target, dim=16, num_blocks=1, num_heads=2)


def too_many(known: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """The counts that are more than 10 % higher than known."""
    keys = ("flops", "target_flops", "operations")
    return [f"{name}: {key}" for name in known for key in keys if found[name][key] > 1.1 * known[name][key]]


OLD = pytest.mark.xfail(
    torch.__version__ < "2.10",
    raises=NotImplementedError,
    reason="PyTorch 2.9 has no backward pass of weight normalization (MIRL) on the meta device",
)


@OLD
def test_no_count_rose_by_more_than_a_tenth() -> None:
    known, found = json.loads(KNOWN.read_text())["rows"], counts(argparse.Namespace(), [])["rows"]
    assert known.keys() == found.keys(), UPDATE
    assert not too_many(known, found), UPDATE
    assert not too_many(found, known), f"A count became lower. {UPDATE}"


def test_a_rise_of_more_than_a_tenth_is_found() -> None:
    known = {"a": {"flops": 1000, "target_flops": 0, "operations": 100}}
    found = {"a": {"flops": 1100, "target_flops": 1, "operations": 111}}
    assert too_many(known, found) == ["a: target_flops", "a: operations"]


def test_a_cpu_counts_the_same_as_the_meta_device() -> None:
    with torch.device("meta"):
        planned = count_step(mae(), 32)
    assert count_step(mae(), 32).flops == planned.flops


def test_flops_of_a_step_are_those_counted_by_hand() -> None:
    method = MAE(vit(32, 8, 16, 2, 2), RandomMasker(), PixelTarget, dim=16, num_blocks=0, num_heads=2)
    block = 2 * 5 * 12 * 16**2 + 2 * 2 * 5 * 5 * 16  # four visible patches and a class token
    backward = 2 * block
    embedding = 2 * 4 * 192 * 16  # and a gradient of its weights alone
    project, head = 2 * 5 * 16 * 16, 2 * 12 * 16 * 192
    assert count_step(method, 32).flops == 2 * (block + backward) + 2 * embedding + 3 * (project + head)


def test_targets_are_counted_separately() -> None:
    class Constant(Teacher):
        cell, dim = 8, 6

        def __init__(self) -> None:
            super().__init__()
            self.project = nn.Conv2d(3, 6, 8, 8)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.project(images).permute(0, 2, 3, 1)

    assert count_step(mae(lambda cell: TeacherTarget(cell, Constant())), 32).target_flops == 2 * 16 * 192 * 6
    localmim = LocalMIM(vit(32, 8, 16, 4, 2), RandomMasker(), HOGTarget, dim=16, num_blocks=1, num_heads=2)
    assert count_step(localmim, 32).target_flops == 0  # no matrix product

"""Gradient norms by depth: which parameters, what is logged and when."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mimbench.analysis import GradientNorms, gradient_norms, read_gradient_norms
from mimbench.analysis.gradients import unit_parameters
from mimbench.encoders import Encoder, ViTEncoder, swin
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE, Method
from mimbench.targets import PixelTarget


def mae(encoder: Encoder, **changes: Any) -> MAE:
    torch.manual_seed(0)
    return MAE(encoder, RandomMasker(**changes), PixelTarget, 16, 1, 2)


def norms_in_numpy(method: Method) -> dict[str, float]:
    """Norm per child of the trunk, from `.grad`."""
    squares: dict[str, float] = {}
    for name, parameter in method.encoder.trunk.named_parameters():
        if parameter.grad is not None:
            words = name.split(".")
            unit = ".".join(words[:2]) if words[0] == "blocks" else words[0]
            squares[unit] = squares.get(unit, 0) + float((parameter.grad.double().numpy() ** 2).sum())
    return squares


def test_norms_are_those_of_the_parameters_of_every_depth(encoder: ViTEncoder, images: Tensor):
    method = mae(encoder)
    mask = method.draw_mask(torch.arange(len(images)), epoch=0)
    found = gradient_norms(method, images, mask)
    assert all(parameter.grad is None for parameter in method.parameters())
    method(images, mask).loss.backward()
    squares = norms_in_numpy(method)
    embedding = squares["patch_embed"] + squares["cls_token"]
    expected = [embedding, *(squares[f"blocks.{i}"] for i in range(3)), squares["blocks.3"] + squares["norm"]]
    np.testing.assert_allclose(list(found.values()), np.sqrt(expected), rtol=1e-5)
    assert list(found) == [0, 1, 2, 3, 4]


def test_every_trained_parameter_belongs_to_one_depth_and_a_merging_to_the_stage_before(encoder: ViTEncoder):
    pyramid = swin(32, 8, (1, 2), (2, 2), window=4)
    for each in (encoder, pyramid):
        units = unit_parameters(each)
        ids = [id(parameter) for own in units.values() for parameter in own]
        assert sorted(ids) == sorted(id(p) for p in each.trunk.parameters() if p.requires_grad)
    merging = {id(p) for p in pyramid.stages[1].downsample.parameters()}
    assert merging <= {id(p) for p in unit_parameters(pyramid)[1]}
    frozen = next(iter(encoder.trunk.blocks[1].parameters())).requires_grad_(False)
    assert id(frozen) not in {id(p) for p in unit_parameters(encoder)[2]}


def test_a_step_width_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        GradientNorms(every_n_steps=0)


def test_reading_passes_over_other_metrics_half_lines_and_values_that_are_no_numbers(tmp_path: Path):
    rows = ["step,metric,value", "0,train/loss,1.0", "0,gradient_norm/depth1,2.5", "5,gradient_norm/depth1,nan"]
    (tmp_path / "metrics.csv").write_text("\n".join([*rows, "5,gradient_norm/depth0,1.5", "5,gradient_no"]))
    assert read_gradient_norms(tmp_path / "metrics.csv") == {0: [(5, 1.5)], 1: [(0, 2.5)]}
    assert read_gradient_norms(tmp_path / "none.csv") == {}

"""Heads that change the cell size."""

import pytest
import torch
from torch import nn

from mimbench.core import Tap
from mimbench.decoders import ScaleHead

TAP = Tap(32, (4, 6), 8)


@pytest.mark.parametrize(("cell", "cells"), [(2, 16 * 24), (4, 8 * 12), (8, 4 * 6), (16, 2 * 3)])
def test_one_prediction_per_cell(cell: int, cells: int):
    assert ScaleHead(TAP, 16, cell, 5)(torch.randn(2, 24, 16)).shape == (2, cells, 5)


@pytest.mark.parametrize(
    ("cell", "kinds"),
    [
        (2, [nn.ConvTranspose2d, nn.Module, nn.GELU, nn.ConvTranspose2d, nn.Conv2d]),
        (4, [nn.ConvTranspose2d, nn.Conv2d]),
        (8, [nn.Conv2d]),
        (16, [nn.AvgPool2d, nn.Conv2d]),
    ],
)
def test_layers_follow_the_paper(cell: int, kinds: list[type]):
    for layer, kind in zip(ScaleHead(TAP, 16, cell, 5).layers, kinds, strict=True):
        assert isinstance(layer, kind)


def test_predictions_stay_at_their_position():
    head = ScaleHead(TAP, 16, 4, 5)
    x = torch.randn(1, 24, 16)
    y = x.clone()
    y[:, 7] += 1  # row 1, column 1 of 4 x 6
    changed = (head(x) != head(y)).any(dim=2).reshape(8, 12).nonzero().tolist()
    assert changed == [[2, 2], [2, 3], [3, 2], [3, 3]]


def test_other_cell_sizes_are_refused_with_the_valid_ones():
    with pytest.raises(
        ValueError, match=r"Cells of 6 px cannot be predicted from patches of 8 px; choose from \[2, 4, 8, 16\]"
    ):
        ScaleHead(TAP, 16, 6, 5)


def test_odd_grids_cannot_be_halved():
    with pytest.raises(ValueError, match=r"4x5 grid of patches cannot be halved .* choose a patch size"):
        ScaleHead(Tap(32, (4, 5), 8), 16, 16, 5)


@pytest.mark.parametrize("cell", [2, 4, 8])
def test_matrix_products_equal_the_convolutions(cell: int):
    head, x = ScaleHead(TAP, 16, cell, 5).double(), torch.randn(2, 24, 16, dtype=torch.float64)
    image = head.layers(x.transpose(1, 2).unflatten(2, TAP.grid))
    torch.testing.assert_close(head(x), image.flatten(2).transpose(1, 2))

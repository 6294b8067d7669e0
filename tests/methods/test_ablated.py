"""Options of the papers' ablations."""

import pytest
import torch

from mimbench.encoders import vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MIRL, DeepMIM, LocalMIM
from mimbench.targets import PixelTarget

SMALL = {"dim": 16, "num_blocks": 1, "num_heads": 2}


@pytest.mark.parametrize(("taps", "depths"), [(1, (12,)), (2, (10, 12)), (3, (8, 10, 12)), (4, (6, 8, 10, 12))])
def test_deepmim_reads_the_papers_taps(taps: int, depths: tuple[int, ...]) -> None:
    assert DeepMIM(vit(32, 8, 16, 12, 2), RandomMasker(), PixelTarget, num_taps=taps, **SMALL).depths == depths


def test_deepmim_weights_every_loss_except_the_last() -> None:
    method = DeepMIM(vit(32, 8, 16, 4, 2), RandomMasker(), PixelTarget, shallow_weight=0.25, **SMALL)
    terms = [torch.tensor(value) for value in (4.0, 8.0, 5.0)]
    assert method.combine(terms) == 1 + 2 + 5
    with pytest.raises(ValueError, match="positive weight"):
        DeepMIM(vit(32, 8, 16, 4, 2), RandomMasker(), PixelTarget, shallow_weight=0.0, **SMALL)


@pytest.mark.parametrize(
    ("scales", "taps", "depths", "cells"),
    [
        ("fine-to-coarse", 4, (2, 4, 10, 12), [4, 8, 16, 32]),
        ("coarse-to-fine", 4, (2, 4, 10, 12), [32, 16, 8, 4]),
        ("single", 4, (2, 4, 10, 12), [16, 16, 16, 16]),
        ("single", 1, (12,), [16]),
        ("fine-to-coarse", 2, (4, 12), [8, 32]),
    ],
)
def test_localmim_assigns_cells_by_the_order_of_scales(
    scales: str, taps: int, depths: tuple[int, ...], cells: list[int]
) -> None:
    encoder = vit(64, 16, 16, 12, 2)
    method = LocalMIM(encoder, RandomMasker(), PixelTarget, scales=scales, num_taps=taps, **SMALL)
    assert method.depths == depths
    assert [target.cell for target in method.targets] == cells


def test_localmim_refuses_another_order() -> None:
    with pytest.raises(ValueError, match=r"fine-to-coarse, coarse-to-fine, single; got 4 and 'up'"):
        LocalMIM(vit(32, 8, 16, 4, 2), RandomMasker(), PixelTarget, scales="up", **SMALL)


@pytest.mark.parametrize(
    ("pairing", "sums"), [("mirror", [(0, 3), (1, 2)]), ("sum", [(0, 1, 2, 3)]), ("none", [(0,), (1,), (2,), (3,)])]
)
def test_mirl_sums_predictions_according_to_the_pairing(pairing: str, sums: list[tuple[int, ...]]) -> None:
    method = MIRL(vit(32, 8, 16, 4, 2), RandomMasker(), PixelTarget, pairing=pairing, **SMALL).double()
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    output = method(images)
    value, weights = method.target(images), output.mask.weights((4, 4))
    errors = [
        (method.target.error(sum(output.predictions[i] for i in summands), value) * weights).sum() / weights.sum()
        for summands in sums
    ]
    torch.testing.assert_close(output.loss, torch.stack(errors).mean(), rtol=1e-12, atol=0)


def test_mirl_without_cross_attention_is_smaller_and_reads_no_embedding() -> None:
    full, small = (MIRL(vit(32, 8, 16, 4, 2), RandomMasker(), PixelTarget, cross=c, **SMALL) for c in (True, False))
    assert (full.depths, small.depths) == ((0, 1, 2, 3, 4), (1, 2, 3, 4))
    assert not any("cross" in name or "stem" in name for name in small.state_dict())
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in full.parameters())


@pytest.mark.parametrize(("segments", "depths"), [(2, (6, 12)), (4, (3, 6, 9, 12)), (6, (2, 4, 6, 8, 10, 12))])
def test_mirl_divides_the_encoder_into_num_segments(segments: int, depths: tuple[int, ...]) -> None:
    assert MIRL(vit(32, 8, 16, 12, 2), RandomMasker(), PixelTarget, num_segments=segments, **SMALL).segments == depths


def test_mirl_refuses_segments_that_do_not_divide_the_depth() -> None:
    with pytest.raises(ValueError, match="6 segments do not divide a depth of 4"):
        MIRL(vit(32, 8, 16, 4, 2), RandomMasker(), PixelTarget, num_segments=6, **SMALL)

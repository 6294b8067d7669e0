"""MFF and CrossMAE: what their classes add to the golden cases."""

from functools import partial

import pytest
import torch
from torch import Tensor

from mimbench.analysis import reconstruct
from mimbench.analysis.reconstruction import common_mask
from mimbench.encoders import swin, vit
from mimbench.maskers import BlockMasker, RandomMasker
from mimbench.methods import MAE, MFF, CrossMAE, MaskFeat, Method, SimMIM
from mimbench.methods.mff import mff_depths
from mimbench.targets import HOGTarget, PixelTarget
from mimbench.training.cost import measure_cost

SMALL = {"dim": 16, "num_blocks": 2, "num_heads": 2}


@pytest.fixture
def images() -> Tensor:
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def build(method: type[Method], depth: int = 4, **options) -> Method:
    torch.manual_seed(0)
    return method(vit(32, 8, 24, depth, 2), RandomMasker(), **({"target": PixelTarget} | SMALL | options))


@pytest.mark.parametrize(
    ("depth", "expected"),
    [(12, (1, 3, 5, 7, 9, 12)), (24, (2, 6, 10, 14, 18, 24)), (4, (1, 2, 3, 4)), (2, (1, 2)), (1, (1,))],
)
def test_mff_reads_the_papers_depths_in_proportion(depth: int, expected: tuple[int, ...]):
    assert mff_depths(depth) == expected


@pytest.mark.parametrize("depth", range(1, 20))
def test_both_support_every_depth(depth: int):
    with torch.device("meta"):
        assert build(MFF, depth).depths[-1] == depth
        assert build(CrossMAE, depth).depths == tuple(range(depth + 1))


def test_mff_of_the_last_depth_alone_is_mae_but_for_its_positions(images: Tensor):
    mff, mae = build(MFF, depths=[4]), build(MAE)
    assert not mff.fusion.logits.requires_grad
    mae.encoder.load_state_dict(mff.encoder.state_dict())
    mae.decoders[0].load_state_dict(mff.decoder.state_dict())
    mae.decoders[0].positions.copy_(mff.decoder.positions)
    mask = mff.draw_mask(torch.arange(3), 0)
    torch.testing.assert_close(mff(images, mask).loss, mae(images, mask).loss)


def test_mff_starts_with_equal_shares():
    assert build(MFF).fusion.weights.tolist() == pytest.approx([1 / 4] * 4)


def test_crossmae_predicts_a_quarter_of_all_patches_in_training_and_all_of_them_for_figures(images: Tensor):
    method = build(CrossMAE)
    mask = method.draw_mask(torch.arange(3), 0)
    assert method(images, mask, hidden_only=True).predictions[0].shape[1] == 4
    panels = reconstruct(method, images, common_mask(method, images))
    assert list(panels) == ["image", "visible", "prediction"]


def test_crossmaes_mixture_starts_as_other_linear_layers_do():
    weight = build(CrossMAE, depth=12, num_blocks=12).mixture.linear.weight
    assert weight.shape == (12, 13)
    assert 0.8 < weight.abs().max() / (6 / 25) ** 0.5 <= 1  # Xavier's limit, not the described 1 / sqrt(13)


def test_crossmae_leaves_the_final_norm_alone_and_its_row_has_no_scale(images: Tensor):
    method = build(CrossMAE).double()
    mask = method.draw_mask(torch.arange(3), 0)
    assert not any(p.requires_grad for p in method.encoder.final_norm.parameters())
    before = method(images.double(), mask).loss
    with torch.no_grad():
        method.mixture.linear.weight[0] *= 3
    torch.testing.assert_close(method(images.double(), mask).loss, before, rtol=1e-5, atol=0)


@pytest.mark.parametrize("method", [MFF, CrossMAE])
def test_histograms_are_drawn(method: type[Method], images: Tensor):
    built = build(method, target=HOGTarget)
    panels = reconstruct(built, images, common_mask(built, images))
    assert [name for name in panels if "cells of 8 px" in name] == [
        "target, depth 4, cells of 8 px",
        "predicted, depth 4, cells of 8 px",
    ]


@pytest.mark.parametrize("method", [SimMIM, MaskFeat])
def test_histograms_of_methods_with_mask_tokens_are_drawn_too(method: type[Method], images: Tensor):
    built = method(vit(32, 8, 24, 4, 2), RandomMasker(), HOGTarget)
    panels = reconstruct(built, images, common_mask(built, images))
    assert any(name.startswith("predicted, depth 4") for name in panels)


def test_any_masker_decides_what_crossmae_predicts(images: Tensor):
    method = CrossMAE(vit(32, 8, 24, 2, 2), BlockMasker(0.5), PixelTarget, **SMALL)
    assert method(images, hidden_only=True).predictions[0].shape[1] == 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            partial(build, MFF, depths=[1, 3]),
            r"Units above depth 3 would not be trained; let method\.depths end with 4",
        ),
        (partial(build, CrossMAE, depths=[0, 2]), r"let method\.depths end with 4"),
        (partial(build, MFF, depths=[0, 4]), "Depths must ascend from 1 to 4"),
        (
            partial(build, CrossMAE, predicted_ratio=0.8),
            r"set method\.predicted_ratio to a number above 0 and at most 0\.75",
        ),
        (
            partial(build, CrossMAE, mixture=False, depths=[2, 4]),
            r"set method\.mixture=true or leave method\.depths out",
        ),
        (partial(build, CrossMAE, num_heads=3), "3 heads do not divide a decoder width of 16"),
    ],
)
def test_what_cannot_be_is_refused_with_the_remedy(make: partial[Method], message: str):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(("method", "verb"), [(MFF, "MFF fuses"), (CrossMAE, "CrossMAE mixes")])
def test_depths_of_different_grids_are_refused_and_equal_ones_work(method: type[Method], verb: str):
    def on_swin(**options) -> Method:
        encoder = swin(64, 8, (1, 1, 1), (2, 2, 2), window=2, patch_size=4)
        return method(encoder, RandomMasker(shared=True), PixelTarget, **SMALL, **options)

    with pytest.raises(ValueError, match=rf"{verb} depths with equal grids.*use a ViT, or method\.depths=\[2, 3\]"):
        on_swin()
    on_swin(depths=[2, 3])(torch.zeros(2, 3, 64, 64)).loss.backward()


def test_costs_count_the_queries_and_what_is_not_predicted_is_not_computed():
    with torch.device("meta"):
        quarter, all_hidden = (measure_cost(build(CrossMAE, predicted_ratio=ratio), 32) for ratio in (0.25, 0.75))
        mae, mff = measure_cost(build(MAE), 32), measure_cost(build(MFF), 32)
    assert (quarter.decoder_tokens, all_hidden.decoder_tokens) == (4, 12)
    assert quarter.decoder_flops < all_hidden.decoder_flops < mae.decoder_flops
    assert quarter.encoder_flops == mae.encoder_flops == mff.encoder_flops
    # Three projections of five tokens of width 24.
    assert mff.decoder_flops - mae.decoder_flops == 2 * 3 * 5 * 24 * 24

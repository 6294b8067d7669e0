"""Combination of decoders, targets and losses in the methods."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from mimbench.core import Mask
from mimbench.encoders import vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE, MIRL, DeepMIM, LocalMIM
from mimbench.targets import PixelTarget

SMALL = {"dim": 16, "num_blocks": 1, "num_heads": 2}


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def mask() -> Mask:
    return RandomMasker()(2, (4, 4), generator=torch.Generator().manual_seed(1))


def small(method, **changes):
    torch.manual_seed(0)
    return method(vit(32, 8, 16, 4, 2), RandomMasker(), PixelTarget, **(SMALL | changes))


@pytest.mark.parametrize("method", [DeepMIM, LocalMIM])
def test_the_objective_is_the_sum_over_branches(method, images: Tensor, mask: Mask):
    output = small(method)(images, mask)
    assert list(output.terms) == [f"depth{depth}" for depth in small(method).depths]
    torch.testing.assert_close(output.loss, sum(output.terms.values()))


def test_mirl_takes_the_mean_over_pairs_of_summed_predictions(images: Tensor, mask: Mask):
    output = small(MIRL)(images, mask)
    value, hidden = PixelTarget(8)(images), mask.hidden.flatten(1)
    for i, term in enumerate(output.terms.values()):
        both = output.predictions[i] + output.predictions[3 - i]
        torch.testing.assert_close(term, (both - value).square().mean(dim=2)[hidden].mean())
    torch.testing.assert_close(output.loss, sum(output.terms.values()) / 2)


def test_loss_is_the_mean_over_hidden_patches(images: Tensor, mask: Mask):
    output = small(MAE)(images, mask)
    error = (output.predictions[0] - PixelTarget(8)(images)).square().mean(dim=2)
    torch.testing.assert_close(output.loss, error[mask.hidden.flatten(1)].mean())


def test_deepmim_normalizes_the_last_depth_only():
    method = small(DeepMIM)
    assert all(isinstance(decoder.norm_input, nn.Identity) for decoder in method.decoders)


@pytest.mark.parametrize("method", [LocalMIM, MIRL])
def test_every_intermediate_tap_has_its_own_norm(method):
    kinds = [type(decoder.norm_input) for decoder in small(method).decoders]
    assert kinds == [nn.LayerNorm] * 3 + [nn.Identity]


def test_decoders_share_no_parameters():
    for method in (DeepMIM, LocalMIM, MIRL):
        parameters = [id(p) for decoder in small(method).decoders for p in decoder.parameters()]
        assert len(parameters) == len(set(parameters))


def test_mirl_decoders_attend_to_all_shallower_segments_deepest_first(images: Tensor, mask: Mask):
    method = small(MIRL)
    seen = []
    for decoder in method.decoders:
        decoder.blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[1]))
    features = method.encoder(images, method.depths, mask)
    method.predict(features)
    low = method.stem(features[0].sequence)
    embedded = [d.embed(features[k]).sequence for k, d in zip(method.segments, method.decoders, strict=True)]
    for i, context in enumerate(seen):
        assert torch.equal(context, torch.cat([*reversed(embedded[:i]), low], dim=1))


def test_mirl_stops_no_gradient(images: Tensor, mask: Mask):
    method = small(MIRL)
    method(images, mask).predictions[3].sum().backward()
    assert method.decoders[0].project.weight.grad.any()
    assert method.stem[1].weight.grad.any()


@pytest.mark.parametrize("unit", [True, False])
def test_mirl_heads_optionally_keep_unit_norms(unit: bool):
    method = small(MIRL, unit_head=unit)
    with torch.no_grad():
        for parameter in method.decoders[0].head.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3)
    lengths = method.decoders[0].head.weight.norm(dim=0)
    assert torch.allclose(lengths, torch.ones(16)) is unit


@pytest.mark.parametrize("method", [MAE, DeepMIM, LocalMIM, MIRL])
def test_mlp_ratio_applies_to_all_decoders(method):
    widths = {decoder.blocks[0].mlp.fc1.out_features for decoder in small(method, mlp_ratio=2.0).decoders}
    assert widths == {32}


def test_localmim_refuses_cells_that_do_not_match_its_depths():
    with pytest.raises(ValueError, match=r"depths \[2, 4\]"):
        small(LocalMIM, depths=(2, 4), cells=(4, 8, 16))


def test_raw_pixels_are_a_valid_target(images: Tensor, mask: Mask):
    raw = MAE(vit(32, 8, 16, 1, 2), RandomMasker(), partial(PixelTarget, normalize=False), **SMALL)
    output = raw(10 * images, mask)
    assert output.loss > 20

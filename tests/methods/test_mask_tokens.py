"""Methods whose encoder receives mask tokens: SimMIM, MaskFeat, and MAE's ablation."""

from functools import partial

import pytest
import torch
from torch import Tensor

from mimbench.core import Mask
from mimbench.encoders import Encoder, swin, vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE, MaskFeat, SimMIM
from mimbench.targets import HOGTarget, PixelTarget
from mimbench.training.cost import measure_cost

L1 = partial(PixelTarget, normalize=False, absolute=True)
ENCODERS = {
    "vit": lambda: vit(32, 8, 24, 2, 2),
    "swin": lambda: swin(64, 8, (1, 1), (2, 2), window=4, patch_size=8),
}


@pytest.fixture(params=ENCODERS)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    torch.manual_seed(0)
    return ENCODERS[request.param]()


@pytest.fixture
def images(encoder: Encoder) -> Tensor:
    side = encoder.taps[0].grid[0] * encoder.taps[0].cell
    return torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def mask(encoder: Encoder) -> Mask:
    return RandomMasker()(3, encoder.mask_grid, generator=torch.Generator().manual_seed(2))


def hidden_pixels(mask: Mask, images: Tensor) -> Tensor:
    return mask.weights((images.shape[2], images.shape[3])).reshape(3, 1, *images.shape[2:]) > 0


def test_hidden_pixels_reach_no_token_and_visible_ones_do(encoder: Encoder, images: Tensor, mask: Mask) -> None:
    mask_token = torch.randn(1, 1, encoder.taps[0].width)
    hidden = hidden_pixels(mask, images)
    last = encoder.depth
    before = encoder(images, [0, last], mask, mask_token)
    other_hidden = encoder(torch.where(hidden, -images, images), [0, last], mask, mask_token)
    other_visible = encoder(torch.where(hidden, images, -images), [last], mask, mask_token)
    for depth in (0, last):
        assert torch.equal(before[depth].sequence, other_hidden[depth].sequence)
    assert not torch.equal(before[last].sequence, other_visible[last].sequence)


def test_all_patches_are_encoded_in_raster_order(encoder: Encoder, images: Tensor, mask: Mask) -> None:
    mask_token = torch.randn(1, 1, encoder.taps[0].width)
    tokens = encoder(images, [0], mask, mask_token)[0]
    dense = encoder(images, [0])[0]
    assert torch.equal(tokens.index, dense.index)
    hidden = mask.weights(tokens.grid) > 0
    assert torch.equal(tokens.patches[~hidden], dense.patches[~hidden])
    assert not torch.isclose(tokens.patches[hidden], dense.patches[hidden]).all(dim=1).any()


def test_an_empty_mask_equals_the_dense_encoder(encoder: Encoder, images: Tensor) -> None:
    nothing = Mask(torch.zeros(3, *encoder.mask_grid, dtype=torch.bool), encoder.mask_grid[0] * encoder.mask_grid[1])
    tokens = encoder(images, [encoder.depth], nothing, torch.randn(1, 1, encoder.taps[0].width))
    assert torch.equal(tokens[encoder.depth].sequence, encoder(images, [encoder.depth])[encoder.depth].sequence)


@pytest.mark.parametrize("method", [SimMIM, MaskFeat])
def test_predictions_do_not_depend_on_hidden_pixels(
    method: type[SimMIM], encoder: Encoder, images: Tensor, mask: Mask
) -> None:
    model = method(encoder, RandomMasker(), HOGTarget)
    changed = torch.where(hidden_pixels(mask, images), 5 - images, images)
    (before,), (after,) = model(images, mask).predictions, model(changed, mask).predictions
    assert torch.equal(before, after)


def test_simmims_loss_is_the_mean_absolute_error_of_hidden_pixels(encoder: Encoder, images: Tensor, mask: Mask) -> None:
    model = SimMIM(encoder, RandomMasker(), L1).double()
    images = images.double()
    output = model(images, mask)
    image = model.target.to_image(output.predictions[0], images)
    hidden = hidden_pixels(mask, images).expand_as(images)
    torch.testing.assert_close(output.loss, (image - images).abs()[hidden].mean(), rtol=1e-12, atol=0)


def test_maskfeat_predicts_every_cell_at_the_position_of_its_pixels(
    encoder: Encoder, images: Tensor, mask: Mask
) -> None:
    model = MaskFeat(encoder, RandomMasker(), HOGTarget).double()
    images = images.double()
    cell = encoder.taps[-1].cell
    assert model.target.cell == cell // 2
    value = model.target(images)
    # Tokens that contain the targets of the four cells of their patch, row by row.
    rows, columns = encoder.taps[-1].grid
    tokens = value.reshape(3, rows, 2, columns, 2, -1).permute(0, 1, 3, 2, 4, 5).flatten(1, 2).flatten(2)
    model.decoder.project = torch.nn.Identity()
    features = encoder(images, model.depths)[encoder.depth]
    exact = type(features)(
        tokens, features.prefix[..., :1].expand(-1, -1, tokens.shape[2]), features.index, features.grid
    )
    for seen in (None, mask):
        predictions = model.predict({encoder.depth: exact}, seen)
        assert model.losses(images, predictions, mask)["hidden"] < 1e-20


def test_mask_tokens_in_the_encoder_cost_more_than_visible_patches_alone() -> None:
    with torch.device("meta"):
        costs = [
            measure_cost(MAE(vit(32, 4, 48, 4, 4), RandomMasker(), PixelTarget, 16, 1, 2, encode_hidden=inside), 32)
            for inside in (False, True)
        ]
    assert [cost.encoder_tokens for cost in costs] == [17, 65]
    assert costs[1].encoder_flops > 3.3 * costs[0].encoder_flops
    assert costs[1].decoder_flops > costs[0].decoder_flops


@pytest.mark.parametrize("method", [SimMIM, MaskFeat])
def test_patches_can_be_hidden_in_larger_cells(method: type[SimMIM]) -> None:
    target = L1 if method is SimMIM else HOGTarget
    model = method(vit(32, 4, 24, 2, 2), RandomMasker(0.5), target, mask_cell=8).double()
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mask = model.draw_mask(torch.arange(3), 0)
    assert mask.hidden.shape == (3, 4, 4)
    whole, part = model(images, mask), model(images, mask, hidden_only=True)
    torch.testing.assert_close(whole.loss, part.loss, rtol=1e-12, atol=0)


def test_cells_that_are_no_whole_patches_are_refused() -> None:
    with pytest.raises(ValueError, match=r"set method\.mask_cell to one of \[8, 16\]"):
        SimMIM(vit(32, 8, 24, 2, 2), RandomMasker(), L1, mask_cell=12)


def test_cells_that_do_not_divide_a_patch_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Cells of 3 px do not divide patches of 8 px; choose one of \[1, 2, 4, 8\]"):
        SimMIM(vit(32, 8, 24, 2, 2), RandomMasker(), L1, cell=3)

"""Swin on visible tokens equals timm's dense Swin with the hidden tokens masked out."""

import copy
from functools import partial

import pytest
import timm
import torch
from timm.models.swin_transformer import SwinTransformer, window_partition
from torch import Tensor, nn

import mimbench.encoders.windows as windows
from mimbench.core import Mask
from mimbench.encoders import SwinEncoder, swin, timm_swin, vit
from mimbench.maskers import BlockMasker, RandomMasker
from mimbench.methods import MAE, DeepMIM, LocalMIM
from mimbench.targets import HOGTarget, PixelTarget
from mimbench.weights.formats.localmim_swin import swap_neighbors

# Image and window sizes: whole windows in every stage (128, 4), windows reduced to small grids (64, 4), grids that the
# windows do not divide (64, 7), (96, 7), (160, 3), and windows larger than every grid (64, 14).
SIZES = [(128, 4), (64, 4), (64, 7), (96, 7), (160, 3), (64, 14)]


def small(image_size: int = 64, window: int = 4, blocks: tuple[int, ...] = (2, 2, 2, 2), **extra) -> SwinEncoder:
    """A Swin of 8 channels in double precision, with random biases and norms."""
    torch.manual_seed(0)
    encoder = swin(image_size, 8, blocks, (1, 2, 2, 4), window, mlp_ratio=2.0, **extra)
    for name, parameter in encoder.named_parameters():
        if parameter.ndim == 1 or "bias_table" in name:
            nn.init.normal_(parameter, mean=float(name.endswith("weight")), std=0.5)
    return encoder.double()


def random_images(image_size: int = 64, seed: int = 1) -> Tensor:
    return torch.randn(2, 3, image_size, image_size, generator=torch.Generator().manual_seed(seed)).double()


def mask_of(encoder: SwinEncoder, seed: int = 2, ratio: float = 0.6) -> Mask:
    draws = torch.Generator().manual_seed(seed)
    return RandomMasker(ratio, shared=True)(2, encoder.mask_grid, generator=draws)


def stage_outputs(trunk: SwinTransformer, images: Tensor) -> list[Tensor]:
    """Depths 0 to 4 as computed by timm, on full grids, channels last."""
    stages = [x.permute(0, 2, 3, 1) for x in trunk.forward_intermediates(images, intermediates_only=True)]
    merged = [layer.downsample(x) for layer, x in zip(trunk.layers[1:], stages, strict=False)]
    return [trunk.patch_embed(images), *merged, trunk.norm(stages[-1])]


def masked_out(trunk: SwinTransformer, hidden: Tensor) -> SwinTransformer:
    """A dense timm Swin in which no token attends to a hidden token, except that token itself."""
    trunk = copy.deepcopy(trunk)
    for layer in trunk.layers:
        for block in layer.blocks:
            rows, columns = block.input_resolution
            scale = rows // hidden.shape[0], columns // hidden.shape[1]
            plane = hidden.double().repeat_interleave(scale[0], 0).repeat_interleave(scale[1], 1)
            plane = plane.roll((-block.shift_size[0], -block.shift_size[1]), (0, 1))
            padding = (0, -columns % block.window_size[1], 0, -rows % block.window_size[0])
            plane = nn.functional.pad(plane, padding)[None, :, :, None]
            keys = window_partition(plane, block.window_size).flatten(1).bool()
            forbidden = keys[:, None] & ~torch.eye(keys.shape[1], dtype=torch.bool)
            usual = torch.zeros(()) if block.attn_mask is None else block.attn_mask
            block.attn_mask = (usual + torch.zeros(forbidden.shape)).double().masked_fill(forbidden, float("-inf"))
    return trunk


@pytest.mark.parametrize(("image_size", "window"), SIZES)
def test_without_a_mask_the_encoder_equals_timms_swin(image_size: int, window: int):
    encoder, images = small(image_size, window), random_images(image_size)
    assert torch.equal(encoder(images, [4])[4].patches, encoder.trunk.forward_features(images).flatten(1, 2))
    for depth, wanted in enumerate(stage_outputs(encoder.trunk, images)):
        tokens = encoder(images, [depth])[depth]
        assert torch.equal(tokens.patches, wanted.flatten(1, 2))
        assert tokens.grid == wanted.shape[1:3] == encoder.taps[depth].grid
        assert wanted.shape[3] == encoder.taps[depth].width
        assert torch.equal(tokens.index[1], torch.arange(wanted.shape[1] * wanted.shape[2]))


@pytest.mark.parametrize(("image_size", "window"), SIZES)
def test_visible_tokens_equal_dense_swin_with_hidden_tokens_masked_out(image_size: int, window: int):
    encoder, images = small(image_size, window), random_images(image_size)
    mask = mask_of(encoder)
    dense = stage_outputs(masked_out(encoder.trunk, mask.hidden[0]), images)
    for depth, tokens in encoder(images, range(5), mask).items():
        wanted = dense[depth].flatten(1, 2).gather(1, tokens.index[..., None].expand_as(tokens.patches))
        assert tokens.patches.shape[1] == mask.num_visible * (tokens.grid[0] // mask.hidden.shape[1]) ** 2
        # The order of summation differs; timm masks with -100 instead of minus infinity.
        torch.testing.assert_close(tokens.patches, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("image_size", "window"), SIZES)
def test_a_mask_that_hides_nothing_changes_nothing(image_size: int, window: int):
    encoder, images = small(image_size, window), random_images(image_size)
    rows, columns = encoder.mask_grid
    dense = encoder(images, range(5))
    for depth, tokens in encoder(
        images, range(5), Mask(torch.zeros(2, rows, columns).bool(), rows * columns, True)
    ).items():
        torch.testing.assert_close(tokens.patches, dense[depth].patches, rtol=0, atol=1e-12)
        assert torch.equal(tokens.index, dense[depth].index)


@pytest.mark.parametrize("quirks", [False, True])
def test_hidden_pixels_cannot_reach_visible_tokens(quirks: bool):
    encoder, images = small(128, released_quirks=quirks), random_images(128)
    mask = mask_of(encoder)
    pixels = mask.hidden.repeat_interleave(32, 1).repeat_interleave(32, 2)[:, None]
    other = torch.where(pixels, random_images(128, seed=9), images)
    first, second = encoder(images, range(5), mask), encoder(other, range(5), mask)
    assert all(torch.equal(first[depth].patches, second[depth].patches) for depth in first)


def test_images_of_a_batch_do_not_see_each_other():
    encoder, images = small(128), random_images(128)
    mask = mask_of(encoder)
    other = torch.stack([images[0], random_images(128, seed=9)[1]])
    first, second = encoder(images, range(5), mask), encoder(other, range(5), mask)
    assert all(torch.equal(first[depth].patches[0], second[depth].patches[0]) for depth in first)
    assert not torch.equal(first[4].patches[1], second[4].patches[1])


def test_tokens_of_different_windows_do_not_attend():
    encoder, images = small(128, blocks=(1, 1, 1, 1)), random_images(128)
    mask = mask_of(encoder)
    other = images.clone()
    other[..., :16, :16] += 1  # the first window of 4x4 patches
    visible = ~mask.hidden
    visible[:, 0, 0] = True
    mask = Mask(~visible, int(visible[0].sum()), True)
    first, second = encoder(images, [1], mask)[1], encoder(other, [1], mask)[1]
    changed = (first.patches != second.patches).any(2).any(0)
    assert sorted(first.index[0][changed].tolist()) == [0, 1, 16, 17]


def test_masks_that_differ_within_the_batch_are_refused():
    encoder = small()
    mask = RandomMasker(0.6)(2, encoder.mask_grid)
    with pytest.raises(ValueError, match="shared=True"):
        encoder(random_images(), [4], mask)


def test_masks_on_another_grid_are_refused():
    encoder = small()
    mask = RandomMasker(0.6, shared=True)(2, (4, 4))
    with pytest.raises(ValueError, match=r"mask_grid"):
        encoder(random_images(), [4], mask)


def test_a_window_is_planned_once_per_forward(monkeypatch: pytest.MonkeyPatch):
    planned: list[tuple] = []

    def pack(window_index, grid, window, shift):
        planned.append((grid, window, shift))
        return original(window_index, grid, window, shift)

    original = windows.pack_windows
    monkeypatch.setattr(windows, "pack_windows", pack)
    encoder = small(blocks=(2, 4, 2, 2))
    encoder(random_images(), [4], mask_of(encoder))
    plain, shifted = (0, 0), (2, 2)
    first = [((16, 16), (4, 4), plain), ((16, 16), (4, 4), shifted), ((8, 8), (4, 4), plain)]
    assert planned == [*first, ((8, 8), (4, 4), shifted), ((4, 4), (4, 4), plain), ((2, 2), (2, 2), plain)]


def test_groups_are_dense_and_hold_every_token_once():
    window_index = torch.randperm(28 * 28, generator=torch.Generator().manual_seed(0))[:100].sort().values
    packing = windows.pack_windows(window_index, (28, 28), (7, 7), (3, 3))
    assert torch.equal(packing.gather.flatten()[packing.scatter], torch.arange(100))
    assert packing.gather.numel() < 1.3 * 100
    assert packing.may_attend.any(2).all()
    assert torch.equal(packing.may_attend, packing.may_attend.transpose(1, 2))


def test_first_fit_never_overfills_a_bin():
    sizes = [3, 0, 7, 2, 5, 1, 6]
    bins, offsets = windows.first_fit(sizes)
    taken = sorted((b, o + i) for b, o, size in zip(bins, offsets, sizes, strict=True) for i in range(size))
    assert len(taken) == len(set(taken)) == sum(sizes)
    assert max(slot for _, slot in taken) < 7
    assert max(bins) == 3


def test_state_dict_loads_into_bare_timm():
    encoder = swin(64, 96, (2, 2, 6, 2), (3, 6, 12, 24))
    bare = timm.create_model("swin_tiny_patch4_window7_224", img_size=64, num_classes=0)
    bare.load_state_dict(encoder.trunk.state_dict(), strict=True)
    images = random_images().float()
    # The eps of timm's LayerNorms is 1e-5, ours is 1e-6 as in pre-training.
    wanted = encoder.eval()(images, [4])[4].patches
    torch.testing.assert_close(bare.eval().forward_features(images).flatten(1, 2), wanted, rtol=0, atol=1e-3)


def test_timm_swin_accepts_another_image_and_window_size():
    encoder = timm_swin("swin_tiny_patch4_window7_224", 64, window=4)
    assert encoder.trunk.layers[0].blocks[1].shift_size == (2, 2)
    assert [tap.cell for tap in encoder.taps] == [4, 8, 16, 32, 32]
    assert not any(isinstance(module, timm.layers.DropPath) for module in encoder.modules())


def test_depth_counts_stages_with_their_patch_merging():
    encoder = swin(224, 128, (1, 1, 2, 1), (4, 8, 16, 32))
    assert encoder.depth == 4
    assert [(tap.width, tap.grid[0], tap.cell) for tap in encoder.taps[1:]] == [
        (256, 28, 8),
        (512, 14, 16),
        (1024, 7, 32),
        (1024, 7, 32),
    ]


def test_shapes_are_known_on_the_meta_device():
    with torch.device("meta"):
        encoder = swin(128, 8, (2, 2, 2, 2), (1, 2, 2, 4), 4)
        mask = RandomMasker(0.75, shared=True)(2, encoder.mask_grid, "meta")
        features = encoder(torch.zeros(2, 3, 128, 128), range(5), mask)
    assert [tokens.patches.shape[1] for tokens in features.values()] == [256, 64, 16, 4, 4]


def test_gradient_checkpointing_changes_no_gradient():
    encoder = small()
    mask, gradients = mask_of(encoder), []
    for enable in (False, True):
        encoder.zero_grad()
        encoder.set_grad_checkpointing(enable)
        encoder(random_images(), [4], mask)[4].patches.square().sum().backward()
        gradients.append([p.grad for p in encoder.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_bfloat16_stays_close():
    encoder, images = small(128).float(), random_images(128).float()
    mask = mask_of(encoder)
    exact = encoder(images, [4], mask)[4].patches
    with torch.autocast("cpu", torch.bfloat16):
        rough = encoder(images, [4], mask)[4].patches
    assert ((rough - exact).norm() / exact.norm()) < 0.05


def test_quirks_do_not_change_the_dense_swin():
    plain, odd, images = small(), small(released_quirks=True), random_images()
    assert torch.equal(plain(images, [4])[4].patches, odd(images, [4])[4].patches)


def test_quirks_merge_row_first():
    plain, odd, images = small(128), small(128, released_quirks=True), random_images(128)
    merging = plain.trunk.layers[1].downsample
    for parameter in merging.parameters():
        parameter.data = swap_neighbors(parameter.data)
    right, released = plain(images, [1], mask_of(plain))[1], odd(images, [1], mask_of(odd))[1]
    order = released.index[0].argsort()
    assert not torch.equal(released.index, right.index)
    assert torch.equal(released.index[:, order], right.index)
    torch.testing.assert_close(released.patches[:, order], right.patches, rtol=0, atol=1e-12)


def test_quirks_change_coordinates_in_the_middle_stages_only():
    encoder = small(128, released_quirks=True)
    mask = mask_of(encoder)
    for i, grid in enumerate([(32, 32), (16, 16), (8, 8), (4, 4)]):
        window_index, index = windows.visible_index(~mask.hidden[0], grid, by_cell=i > 0)
        assert torch.equal(window_index, index) == (i in (0, 3))


def test_every_masker_hides_37_of_49_cells_at_a_ratio_of_0_75():
    for masker in (RandomMasker(0.75, shared=True), BlockMasker(0.75, shared=True)):
        assert masker(1, (7, 7)).hidden.sum() == 37


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"image_size": 100}, "data.image_size=96"),
        ({"num_heads": (1, 2, 2)}, "num_heads for every stage"),
        ({"num_heads": (3, 2, 2, 4)}, "encoder.num_heads"),
    ],
)
def test_impossible_sizes_are_refused(arguments: dict, match: str):
    with pytest.raises(ValueError, match=match):
        swin(**({"image_size": 64, "width": 8, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 4)} | arguments))


def test_other_trunks_are_refused():
    with pytest.raises(ValueError, match="VisionTransformer"):
        SwinEncoder(vit(32, 8, 48, 1, 4).trunk)
    with pytest.raises(ValueError, match=r"choose from .*swin_base_patch4_window7_224"):
        timm_swin("swinv2_tiny_window8_256", 64)
    with pytest.raises(ValueError, match="swin_tiny_patch4_window7_224"):
        timm_swin("swin_tiny_patch4", 64)
    with pytest.raises(ValueError, match="strict_img_size"):
        SwinEncoder(SwinTransformer(64, embed_dim=8, depths=(1, 1), num_heads=(1, 1), strict_img_size=False))


@pytest.mark.parametrize("target", [partial(HOGTarget, bins=18, bias=True), PixelTarget])
@pytest.mark.parametrize("quirks", [False, True])
def test_localmim_trains_on_swin(target, quirks: bool):
    torch.manual_seed(0)
    encoder = swin(96, 16, (2, 2, 2, 2), (1, 2, 4, 8), 3, released_quirks=quirks)
    method = LocalMIM(encoder, RandomMasker(0.75, shared=True), target, dim=32, num_heads=4)
    optimizer = torch.optim.AdamW((p for p in method.parameters() if p.requires_grad), lr=2e-3)
    images, mask = random_images(96).float(), mask_of(encoder, ratio=0.75)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = method(images, mask).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert [name for name, p in method.named_parameters() if p.requires_grad and not p.grad.any()] == []
    assert losses[-1] < 0.9 * losses[0]


def test_localmim_takes_cells_and_widths_from_the_stages():
    encoder, masker = swin(64, 8, (1, 1, 1, 1), (1, 2, 2, 4)), RandomMasker(0.5, shared=True)
    method = LocalMIM(encoder, masker, HOGTarget, dim=128, num_heads=4)
    assert method.depths == (1, 2, 3, 4)
    assert [target.cell for target in method.targets] == [8, 16, 32, 32]
    assert [decoder.project.out_features for decoder in method.decoders] == [64, 128, 128, 128]
    norms = [isinstance(decoder.norm_input, nn.LayerNorm) for decoder in method.decoders]
    assert norms == [True, True, True, False]  # the trunk's norm is applied at the last tap
    method = LocalMIM(encoder, masker, HOGTarget, dim=(16, 32, 48, 64), num_heads=4)
    assert [decoder.project.out_features for decoder in method.decoders] == [16, 32, 48, 64]
    with pytest.raises(ValueError, match="a width for every depth"):
        LocalMIM(encoder, masker, HOGTarget, dim=(16, 32))


def test_localmim_keeps_its_cells_and_widths_on_vit():
    method = LocalMIM(vit(64, 16, 48, 8, 4), RandomMasker(), HOGTarget, dim=64, num_heads=4)
    assert [target.cell for target in method.targets] == [4, 8, 16, 32]
    assert [decoder.project.out_features for decoder in method.decoders] == [64] * 4


@pytest.mark.parametrize("method", [MAE, partial(DeepMIM, depths=(3, 4))])
def test_mae_and_deepmim_train_on_swin(method):
    encoder = swin(64, 8, (1, 1, 1, 1), (1, 2, 2, 4))
    model = method(encoder, RandomMasker(0.5, shared=True), PixelTarget, dim=16, num_blocks=1, num_heads=2)
    output = model(random_images().float())
    output.loss.backward()
    assert [p.shape for p in output.predictions] == [(2, 4, 3072)] * len(model.depths)
    # A 2x2 grid is one window of the last stage, and an image this small has no shifted window there.
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize("method", [LocalMIM, partial(MAE, num_blocks=2)])
def test_on_swin_too_only_hidden_patches_need_a_prediction(method):
    encoder = swin(64, 8, (1, 1, 1, 1), (1, 2, 2, 4))
    model = method(encoder, RandomMasker(0.5, shared=True), PixelTarget, dim=16, num_heads=2).double()
    mask = model.masker(2, encoder.mask_grid)
    full, lean = (model(random_images(), mask, hidden_only) for hidden_only in (False, True))
    torch.testing.assert_close(lean.loss, full.loss, rtol=1e-12, atol=0)
    assert all(2 * a.shape[1] == b.shape[1] for a, b in zip(lean.predictions, full.predictions, strict=True))

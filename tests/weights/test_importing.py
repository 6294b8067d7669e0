"""Imports are strict, resize positions as timm does and say what became of every entry."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import Tensor

from mimbench.encoders import swin, vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE, DeepMIM, LocalMIM, Method
from mimbench.targets import HOGTarget, PixelTarget
from mimbench.weights import (
    DEEPMIM_FORMAT,
    LOCALMIM_VIT_FORMAT,
    MAE_FORMAT,
    WeightFile,
    import_weights,
    load_method,
    recognize,
    write_import,
)
from mimbench.weights.formats.localmim_swin import LOCALMIM_SWIN_FORMAT, LOCALMIM_SWIN_QUIRKS_FORMAT
from mimbench.weights.recognize import method_of

HEADS: dict[str, Any] = {"num_heads": 4, "decoder_heads": 2}


def mae() -> MAE:
    encoder = vit(32, 8, 32, 2, 4)
    return MAE(encoder, RandomMasker(), PixelTarget, dim=16, num_blocks=1, num_heads=2)


def localmim_swin(quirks: bool = False) -> LocalMIM:
    encoder = swin(64, 8, (1, 2, 1, 1), (1, 2, 2, 4), 4, released_quirks=quirks)
    target = partial(HOGTarget, bins=18, bias=True)
    return LocalMIM(encoder, RandomMasker(0.5, shared=True), target, dim=16, num_heads=4)


def classifier(pool: Any) -> VisionTransformer:
    return VisionTransformer(
        img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=4, num_classes=5, global_pool=pool
    )


def file(state: dict[str, Tensor]) -> WeightFile:
    return WeightFile(Path("w.pth"), state)


def test_an_encoder_alone_is_imported_without_decoders():
    trunk = vit(32, 8, 32, 2, 4).trunk.state_dict()
    for name in ("mae", "timm", None):
        imported = import_weights(file(trunk), name, **HEADS)
        assert imported.method() is None
        assert all(torch.equal(tensor, trunk[entry]) for entry, tensor in imported.encoder().items())
        assert imported.encoder().keys() == trunk.keys() == imported.fates.keys()


@pytest.mark.parametrize("pool", ["avg", "token"])
@pytest.mark.parametrize("name", ["mae-finetune", "timm"])
def test_fine_tuned_classifiers_give_the_same_logits(pool: str, name: str):
    source = classifier(pool).eval()
    torch.nn.init.normal_(source.head.weight)
    imported = import_weights(file(source.state_dict()), name, num_heads=4)
    again = classifier(pool).eval()
    whole = imported.classifier()
    assert whole is not None
    again.load_state_dict(whole, strict=True)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(again(images), source(images))
    again.reset_classifier(0)
    again.load_state_dict(imported.encoder(), strict=True)
    assert torch.equal(again(images), source.forward_head(source.forward_features(images), pre_logits=True))


def test_an_error_lists_both_directions():
    state = MAE_FORMAT.export(mae())
    state["blocks.0.norm1.gamma"] = state.pop("blocks.0.norm1.weight")
    with pytest.raises(ValueError, match=r"Missing.*: blocks\.0\.norm1\.weight\. Unexpected.*: blocks\.0\.norm1\.gam"):
        import_weights(file(state), "mae", **HEADS)


def test_another_format_than_the_one_named_is_refused_with_the_right_one():
    with pytest.raises(ValueError, match=r"has the format mae, not deepmim; use --format mae"):
        import_weights(file(MAE_FORMAT.export(mae())), "deepmim")
    with pytest.raises(ValueError, match="There is no format 'ibot'"):
        import_weights(file(MAE_FORMAT.export(mae())), "ibot")


def test_heads_that_nobody_knows_are_asked_for():
    with pytest.raises(ValueError, match="no paper has a ViT of width 32; give it with --num-heads"):
        import_weights(file(vit(32, 8, 32, 2, 4).trunk.state_dict()))
    with pytest.raises(ValueError, match=r"5 heads do not divide the width of 32"):
        import_weights(file(vit(32, 8, 32, 2, 4).trunk.state_dict()), num_heads=5)


@pytest.mark.parametrize("image_size", [48, 24])
def test_positions_are_interpolated_as_timm_does(image_size: int):
    method = mae()
    imported = import_weights(file(MAE_FORMAT.export(method)), "mae", image_size, **HEADS)
    larger = VisionTransformer(img_size=image_size, patch_size=8, embed_dim=32, depth=2, num_heads=4, num_classes=0)
    wanted = checkpoint_filter_fn(method.encoder.trunk.state_dict(), larger)
    larger.load_state_dict(wanted, strict=True)
    ours = imported.encoder()
    assert ours.keys() == wanted.keys()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in ours.items())
    assert imported.resized == (4, image_size // 8)
    state = imported.method()
    assert state is not None
    assert state["decoders.0.mask_token"].equal(method.state_dict()["decoders.0.mask_token"])
    assert isinstance(imported.module, Method)
    images = torch.zeros(1, 3, image_size, image_size)
    assert imported.module.encoder(images, [0])[0].grid == (image_size // 8, image_size // 8)


def test_registers_keep_their_positions():
    trunk = vit(32, 8, 32, 2, 4, num_registers=2).trunk
    torch.nn.init.normal_(trunk.pos_embed)
    imported = import_weights(file(trunk.state_dict()), "timm", 48, num_heads=4)
    wanted = resample_abs_pos_embed(trunk.pos_embed.detach(), [6, 6], [4, 4], num_prefix_tokens=3)
    assert torch.equal(imported.encoder()["pos_embed"], wanted)
    assert torch.equal(wanted[:, :3], trunk.pos_embed[:, :3])


def test_without_another_size_positions_are_those_of_the_file():
    trunk = vit(32, 8, 32, 2, 4).trunk
    imported = import_weights(file(trunk.state_dict()), "timm", 32, num_heads=4)
    assert imported.resized is None
    assert torch.equal(imported.encoder()["pos_embed"], trunk.pos_embed)


def test_patches_that_do_not_divide_the_new_size_are_refused():
    with pytest.raises(ValueError, match="Patches of 8 px do not divide an image of 36 px"):
        import_weights(file(vit(32, 8, 32, 2, 4).trunk.state_dict()), "timm", 36, num_heads=4)


def test_a_timm_swin_goes_in_and_out_and_old_files_with_indices_too():
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"depths": (1, 2, 1, 1), "num_heads": (1, 2, 2, 4), "window_size": 4}
    trunk = SwinTransformer(64, 4, embed_dim=8, num_classes=0, **sizes)
    index = {"layers.0.blocks.0.attn.relative_position_index": torch.zeros(16, 16, dtype=torch.int64)}
    imported = import_weights(file(trunk.state_dict() | index), "timm", 64)
    assert {name for name, fate in imported.fates.items() if fate["fate"] == "left out"} == index.keys()
    trunk.load_state_dict(imported.encoder(), strict=True)
    assert imported.architecture.num_heads == (1, 2, 2, 4)
    with pytest.raises(ValueError, match="heads of a Swin follow from its relative position tables"):
        import_weights(file(trunk.state_dict()), "timm", 64, num_heads=2)


def test_a_released_swin_is_swapped_for_timm_whether_quirks_are_kept_or_not():
    source = localmim_swin()
    released = LOCALMIM_SWIN_FORMAT.export(source)
    plain = import_weights(file(released), "localmim-swin", decoder_heads=4)
    quirky = import_weights(file(released), "localmim-swin", decoder_heads=4, released_quirks=True)
    trunk = source.encoder.trunk.state_dict()
    for imported in (plain, quirky):
        assert all(torch.equal(tensor, trunk[name]) for name, tensor in imported.encoder().items())
    kept = localmim_swin(quirks=True)
    LOCALMIM_SWIN_QUIRKS_FORMAT.load(released, kept)
    state = quirky.method()
    assert state is not None
    assert all(torch.equal(tensor, state[name]) for name, tensor in kept.state_dict().items())


def test_a_swin_whose_windows_would_change_is_refused():
    released = LOCALMIM_SWIN_FORMAT.export(localmim_swin())
    with pytest.raises(ValueError, match="windows cannot be resized"):
        import_weights(file(released), "localmim-swin", 96, decoder_heads=4)


def test_an_imported_method_goes_on_from_where_it_was(tmp_path: Path):
    source, other = mae(), mae()
    weights = file(MAE_FORMAT.export(source))
    (tmp_path / "w.pth").write_bytes(b"")
    imported = import_weights(weights, "mae", **HEADS)
    write_import(imported, WeightFile(tmp_path / "w.pth", weights.state), tmp_path / "out")
    load_method(tmp_path / "out", other)
    images, mask = torch.randn(2, 3, 32, 32), source.draw_mask(torch.arange(2), epoch=0)
    assert torch.equal(source(images, mask).loss, other(images, mask).loss)
    assert isinstance(imported.module, Method)
    with pytest.raises(ValueError, match=r"holds another method\. Missing"):
        load_method(tmp_path / "out", localmim_swin())
    with pytest.raises(ValueError, match="exists already"):
        write_import(imported, WeightFile(tmp_path / "w.pth", {}), tmp_path / "out")


def test_building_a_model_leaves_the_random_numbers_alone():
    weights = file(vit(32, 8, 32, 2, 4).trunk.state_dict())
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    import_weights(weights, num_heads=4)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(("build", "method"), [(mae, "mae"), (localmim_swin, "localmim")])
def test_checkpoints_of_ours_are_recognized_and_refused(build: Any, method: str):
    state = build().state_dict()
    assert recognize(state).format == "mimbench"
    assert method_of(state) == method
    with pytest.raises(ValueError, match="already a checkpoint of mimbench"):
        import_weights(file(state))


@pytest.mark.parametrize("state", [{"features.0.weight": torch.zeros(2)}, {"patch_embed.proj.weight": torch.zeros(2)}])
def test_foreign_weights_are_refused(state: dict[str, Tensor]):
    with pytest.raises(ValueError, match=r"of these weights is unknown|lack what tells their size|not enough values"):
        recognize(state)


def test_an_exported_encoder_loads_into_timm_by_path(tmp_path: Path):
    trunk = vit(224, 16, 192, 12, 3).trunk
    save_file(trunk.state_dict(), tmp_path / "vit.safetensors")
    model = timm.create_model("vit_tiny_patch16_224", num_classes=0, checkpoint_path=str(tmp_path / "vit.safetensors"))
    assert all(torch.equal(tensor, trunk.state_dict()[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("kind", ["deepmim", "localmim-vit"])
def test_depths_that_nothing_tells_are_asked_for(kind: str):
    sizes: dict[str, Any] = {"dim": 16, "num_blocks": 1, "num_heads": 2}
    if kind == "deepmim":  # the released code would read depth 10 twice, once without a norm
        source, known = (
            DeepMIM(vit(32, 8, 32, 10, 4), RandomMasker(), PixelTarget, (3, 5, 8, 10), **sizes),
            DEEPMIM_FORMAT,
        )
    else:  # and here 2, 4, 4 and 6
        source, known = (
            LocalMIM(vit(32, 8, 32, 6, 4), RandomMasker(), HOGTarget, (1, 3, 4, 6), **sizes),
            LOCALMIM_VIT_FORMAT,
        )
    weights = file(known.export(source))
    with pytest.raises(ValueError, match=r"give them with --depths, or leave out the decoders with --encoder-only"):
        import_weights(weights, kind, **HEADS)
    imported = import_weights(weights, kind, depths=source.depths, **HEADS)
    assert isinstance(imported.module, Method)
    assert imported.module.depths == source.depths
    state = imported.method()
    assert state is not None
    assert all(torch.equal(tensor, state[name]) for name, tensor in source.state_dict().items())
    with pytest.raises(ValueError, match=r"Unexpected in the file: .*decoder|a width per depth"):
        import_weights(weights, kind, depths=source.depths[2:], **HEADS)
    alone = import_weights(weights, kind, encoder_only=True, **HEADS).encoder()
    assert all(torch.equal(tensor, alone[name]) for name, tensor in source.encoder.trunk.state_dict().items())

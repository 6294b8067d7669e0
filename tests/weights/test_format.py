"""Released weights go in and out without loss, and nothing is passed over."""

from functools import partial

import pytest
import torch

from mimbench.encoders import vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE, MIRL, DeepMIM, LocalMIM, Method
from mimbench.targets import HOGTarget, PixelTarget
from mimbench.weights import DEEPMIM_FORMAT, LOCALMIM_VIT_FORMAT, MAE_FORMAT, MIRL_FORMAT, Format

SMALL = {"dim": 16, "num_blocks": 1, "num_heads": 2}
FORMATS = {
    "mae": (MAE_FORMAT, MAE, PixelTarget),
    "deepmim": (DEEPMIM_FORMAT, DeepMIM, PixelTarget),
    "localmim": (LOCALMIM_VIT_FORMAT, LocalMIM, partial(HOGTarget, bias=True)),
    "mirl": (MIRL_FORMAT, MIRL, PixelTarget),
    "mirl_plain": (MIRL_FORMAT, partial(MIRL, unit_head=False), PixelTarget),
}


def build(name: str, seed: int) -> tuple[Format, Method]:
    torch.manual_seed(seed)
    known, method, target = FORMATS[name]
    return known, method(vit(32, 8, 32, 12, 2), RandomMasker(), target, **SMALL)


@pytest.mark.parametrize("name", FORMATS)
def test_export_and_import_are_bit_equal(name: str):
    known, first = build(name, seed=0)
    _, second = build(name, seed=1)
    known.load(known.export(first), second)
    for entry, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[entry]), entry


@pytest.mark.parametrize("name", FORMATS)
def test_an_error_lists_what_is_missing_and_what_is_unexpected(name: str):
    known, method = build(name, seed=0)
    released = known.export(method)
    released["blocks.0.norm1.gamma"] = released.pop("blocks.0.norm1.weight")
    with pytest.raises(
        ValueError, match=r"Missing.*: blocks\.0\.norm1\.weight\. Unexpected.*: blocks\.0\.norm1\.gamma\."
    ):
        known.load(released, method)


@pytest.mark.parametrize("name", FORMATS)
def test_weights_of_another_size_are_refused_and_nothing_is_loaded(name: str):
    known, method = build(name, seed=0)
    released = {entry: torch.zeros_like(tensor) for entry, tensor in known.export(method).items()}
    released["patch_embed.proj.weight"] = torch.zeros(32, 3, 4, 4)
    before = {entry: tensor.clone() for entry, tensor in method.state_dict().items()}
    with pytest.raises(ValueError, match=r"patch_embed.proj.weight gives \[32, 3, 4, 4\] instead of \[32, 3, 8, 8\]"):
        known.load(released, method)
    assert all(torch.equal(tensor, before[entry]) for entry, tensor in method.state_dict().items())


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("mae", "decoder_pos_embed"),
        ("deepmim", "decoder_pos_embed"),
        ("localmim", "decoder.2.pos_embed"),
        ("localmim", "hog_enc.1.conv.weight"),
        ("mirl", "decoder_pos_embed3"),
    ],
)
def test_fixed_tables_that_differ_from_ours_are_refused(name: str, entry: str):
    known, method = build(name, seed=0)
    released = known.export(method)
    released[entry] = released[entry] + 1e-3
    with pytest.raises(ValueError, match=rf"{entry}.*differ from the fixed tables"):
        known.load(released, method)


def test_paddle_weights_are_input_by_output_square_ones_too():
    _, method = build("mirl", seed=0)
    released = MIRL_FORMAT.export(method)
    for entry in ("blocks.0.attn.proj", "blocks.0.mlp.fc1", "decoder_blocks0.0.cross_attn.q", "decoder_embed0_1"):
        ours = {theirs: own for own, theirs in MIRL_FORMAT.names(method).items()}[f"{entry}.weight"]
        assert torch.equal(released[f"{entry}.weight"], method.state_dict()[ours].T)
    assert released["decoder_pred0.weight_v"].shape == (16, 192)
    assert released["decoder_pred0.weight_g"].shape == (16,)


def test_an_entry_without_a_place_in_the_format_is_refused():
    _, method = build("mirl", seed=0)
    with pytest.raises(ValueError, match="MAE format has no place for 'stem"):
        MAE_FORMAT.export(method)

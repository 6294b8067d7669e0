"""Options of the released classes: every known option has an effect, and unknown ones are refused."""

import json
import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import formulas
import pytest
import torch
from cases import rebuild
from cases.base import Case, Run

from mimbench.targets.pixel import patchify

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("mae_normpix", {"norm_pix_loss": False}),
    ("mae_normpix", {"img_size": 48}),
    ("mae_normpix", {"patch_size": 8}),
    ("mae_normpix", {"embed_dim": 32}),
    ("mae_normpix", {"depth": 5}),
    ("mae_normpix", {"num_heads": 2}),
    ("mae_normpix", {"mlp_ratio": 2}),
    ("mae_normpix", {"decoder_embed_dim": 16}),
    ("mae_normpix", {"decoder_depth": 1}),
    ("mae_normpix", {"decoder_num_heads": 1}),
    ("deepmim_clip", {"depth": 14}),
    ("deepmim_clip", {"decoder_depth": 1}),
    ("localmim_vit_hog9", {"hog_nbins": 18}),
    ("localmim_vit_hog9", {"hog_bias": True}),
    ("localmim_vit_hog9", {"depth": 7}),
    ("localmim_vit_hog9", {"depth": 10, "hog_bias": True, "hog_nbins": 12}),
    ("localmim_vit_hog9", {"decoder_depth": 2}),
    ("mirl", {"weight_norm_pred": False}),
    ("mirl", {"out_indices": [0, 2, 4, 6, 8]}),
    ("mirl", {"depth": 14}),
    ("mirl", {"decoder_depth": 1}),
    ("mirl", {"decoder_embed_dims": [16] * 6}),
    ("localmim_swin_pixel", {"norm_pix_loss": False}),
    ("localmim_swin_pixel", {"target": "HOG", "hog_bias": True}),
    ("localmim_swin_pixel", {"depths": [1, 2, 3, 1]}),
    ("localmim_swin_pixel", {"window_size": 14}),
    ("localmim_swin_pixel", {"num_heads": [2, 2, 4, 4]}),
]
OPTIONS += [
    ("crossmae_wfm_partial", {"use_input": False}),
    ("crossmae_wfm_partial", {"use_fm": [-2, -1]}),
    ("crossmae_wfm_partial", {"self_attn": True}),
    ("crossmae_wfm_partial", {"decoder_depth": 2}),
    ("crossmae_wfm_partial", {"norm_pix_loss": False}),
    ("crossmae_wfm_all", {"weight_fm": False}),
    ("mff_four_levels", {"out_indices": [0, 2, 4, 5]}),
    ("mff_four_levels", {"out_indices": [5]}),
    ("mff_four_levels", {"norm_pix": False}),
    ("mff_four_levels", {"feedforward_channels": 128}),
    ("mff_four_levels", {"decoder_depth": 1}),
]
IGNORED: list[tuple[str, dict[str, Any]]] = [
    ("deepmim_clip", {"norm_pix_loss": True}),
    ("mirl", {"norm_pix_loss": True}),
    ("mirl", {"out_indices": [1, 3, 5, 7, 9, 10]}),  # the released code reads five
]
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("mae_normpix", {"qk_norm": True}, "cannot rebuild qk_norm=True; it knows no such option"),
    ("mae_normpix", {"norm_layer": "nn.LayerNorm"}, "cannot rebuild norm_layer='nn.LayerNorm'"),
    ("localmim_swin_pixel", {"ape": True}, r"cannot rebuild ape=True; it knows one of \[False\]"),
    ("localmim_swin_pixel", {"qkv_bias": False}, "cannot rebuild qkv_bias=False"),
    ("localmim_swin_pixel", {"target": "CLIP"}, "targets HOG and Pixel, not 'CLIP'"),
    ("localmim_vit_hog9", {"scale (hard-wired)": [2.0, 2.0, 1.0, 0.5]}, "cannot rebuild scale"),
    ("localmim_vit_hog9", {"depth": 6}, "coincide or change places"),
    ("deepmim_clip", {"depth": 10}, "reads the last one twice"),
    ("crossmae_no_wfm", {"norm_layer": "nn.LayerNorm"}, "cannot rebuild norm_layer"),
    ("crossmae_no_wfm", {"use_cls": False}, "cannot rebuild use_cls=False; it knows no such option"),
    ("mff_four_levels", {"with_cls_token": False}, "cannot rebuild"),
]


@lru_cache
def text(stem: str) -> str:
    return (Path(__file__).parent / "data" / f"{stem}.json").read_text(encoding="utf-8")


def edited(stem: str, options: dict[str, Any]) -> Case:
    """A case file with other options; names and shapes, listed by the released code, come from our model."""
    document = json.loads(text(stem))
    document["config"] |= options
    case = rebuild(document)
    side = case.config["img_size"] // case.config["patch_size"]
    document["inputs"]["noise"] = formulas.noise(side * side).tolist()
    with torch.device("meta"):
        exported = case.format.export(case.build())
    document["state_dict"] = [[name, list(tensor.shape), "param", 0.0] for name, tensor in exported.items()]
    return rebuild(document)


def changed(options: dict[str, Any]) -> str:
    return "-".join(f"{name}={value}" for name, value in options.items())


def loss(stem: str, options: dict[str, Any]) -> float:
    return edited(stem, options).run("float64").output.loss.item()


@pytest.mark.parametrize(
    ("stem", "options"), OPTIONS, ids=lambda value: changed(value) if isinstance(value, dict) else value
)
def test_every_option_has_an_effect(stem: str, options: dict[str, Any]):
    recorded = json.loads(text(stem))["float64"]["loss"]
    found = loss(stem, options)
    assert math.isfinite(found)
    assert abs(found / recorded - 1) > 1e-4


@pytest.mark.parametrize(("stem", "options"), IGNORED)
def test_what_the_released_code_ignores_has_none(stem: str, options: dict[str, Any]):
    assert loss(stem, options) == pytest.approx(json.loads(text(stem))["float64"]["loss"], rel=1e-10)


@pytest.mark.parametrize(("stem", "options", "message"), REFUSED)
def test_what_no_case_can_rebuild_is_refused(stem: str, options: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        edited(stem, options)


def test_a_config_without_an_option_that_counts_is_refused():
    document = json.loads(text("mirl"))
    del document["config"]["weight_norm_pred"]
    with pytest.raises(ValueError, match=r"lacks \['weight_norm_pred'\]"):
        rebuild(document)


def test_mirl_without_weight_norm_has_plain_weights_and_no_frozen_ones():
    case = edited("mirl", {"weight_norm_pred": False})
    assert case.shapes["decoder_pred0.weight"] == (32, 768)
    assert not [name for name in case.shapes if name.endswith(("weight_g", "weight_v"))]
    observed = case.observe(case.run("float64"))
    expected = torch.from_numpy(case.released["decoder_pred0.weight"]).double()
    assert torch.equal(observed["effective_decoder_pred0_weight_in_out"], expected)


def test_pixels_that_are_not_standardized_are_the_images_own():
    case = edited("mae_normpix", {"norm_pix_loss": False})
    run = case.run("float64")
    assert torch.equal(run.method.targets[0](run.images), patchify(run.images, 16))
    assert run.output.loss.item() == pytest.approx(masked_error(run, patchify(run.images, 16)), rel=1e-12)


def test_a_hogs_bias_is_the_files_own_at_every_scale():
    case = edited("localmim_vit_hog9", {"hog_bias": True})
    method = case.run("float64").method
    for k, target in enumerate(method.targets):
        assert target.offset.tolist() == case.released[f"hog_enc.{k}.conv.bias"].tolist()


def masked_error(run: Run, target: torch.Tensor) -> float:
    hidden = run.output.mask.hidden.flatten(1)
    return (run.output.predictions[0] - target).square().mean(-1)[hidden].mean().item()

"""Files of any size and with any options go in and out bit for bit, not only those of the papers."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import CASES
from cases.base import Case
from round_trips import as_words, round_trip

from mimbench.weights import recognize

MAE, MIRL = "facebookresearch/mae", "russellllaputa/MIRL"
SIZES = ("img_size", "patch_size", "in_chans", "embed_dim", "num_heads", "mlp_ratio", "depth")
SEEDS = range(4)
SOURCES = {
    "mae": (MAE, "models_mae.py"),
    "deepmim": ("OliverRensu/DeepMIM", "models_mae.py"),
    "localmim-vit": ("Haoqing-Wang/LocalMIM", "ViT/models_mim.py"),
    "localmim-swin": ("Haoqing-Wang/LocalMIM", "Swin/models_mim.py"),
    "mirl": (MIRL, "models_mirl.py"),
    "crossmae": ("TonyLianLong/CrossMAE", "models_cross.py"),
    "simmim": next(s for s in CASES if s[0] == "microsoft/SimMIM" and "models/vision_transformer.py" in s[1]),
    "simmim-swin": next(s for s in CASES if s[0] == "microsoft/SimMIM" and "models/swin_transformer.py" in s[1]),
    "ijepa": next(source for source in CASES if source[0] == "facebookresearch/ijepa"),
    "mff": next(source for source in CASES if source[0] == "open-mmlab/mmpretrain"),
    "mae-finetune": (MAE, "models_vit.py"),
    "mirl-finetune": (MIRL, "models_vit.py"),
}


def draw(name: str, seed: int) -> dict[str, Any]:
    """Constructor arguments of a released class."""
    any_of = random.Random(f"{name} {seed}").choice
    on = seed % 2 == 0
    heads = any_of([1, 2, 4])
    patch = 16 if name == "localmim-vit" else any_of([4, 8, 14, 16])  # its cells of 4 to 32 px are hard-wired
    config = {
        "img_size": patch * any_of([2, 4, 6]),
        "patch_size": patch,
        "in_chans": 3,
        "embed_dim": heads * any_of([8, 16, 24]),
        "num_heads": heads,
        "mlp_ratio": any_of([2.0, 3.0, 4.0]),
        "depth": any_of([2, 3, 5]),
    }
    if name.endswith("finetune"):
        return config | {"num_classes": any_of([2, 10, 1000]), "global_pool": on, "qkv_bias": True}
    decoder_heads = any_of([1, 2])
    dim = decoder_heads * any_of([8, 16, 32])
    config |= {"decoder_depth": any_of([1, 2]), "decoder_num_heads": decoder_heads}
    if name == "mirl":
        config["depth"] = any_of([6, 7, 12])
        taps = [config["depth"] * k // 6 - 1 for k in range(1, 6)]
        return config | {
            "decoder_embed_dims": [dim] * 6,
            "out_indices": taps,
            "weight_norm_pred": on,
        }
    config["decoder_embed_dim"] = dim
    if name == "crossmae":
        config["depth"] = any_of([2, 3, 5])
        mixed = {"weight_fm": seed < 3, "use_fm": any_of([[-1], [1, -1]]), "use_input": on, "self_attn": seed > 1}
        return config | mixed | {"norm_pix_loss": on}
    if name == "simmim":
        encoder = {key: config[key] for key in SIZES} | {"init_values": any_of([None, 0.1]) if on else 0.1}
        encoder |= {"use_abs_pos_emb": on, "use_shared_rel_pos_bias": not on}
        return {"encoder": encoder, "encoder_stride": patch, "mask_patch_size": patch, "img_size": config["img_size"]}
    if name == "simmim-swin":
        encoder = {key: config[key] for key in SIZES if key != "depth"} | swin(any_of, 1, seed)
        encoder = {key: encoder[key] for key in (*SIZES, "depths", "window_size") if key in encoder}
        # Only shifted windows tell the size of the image, so the first stage needs two blocks and two windows.
        encoder |= {"depths": [2, 1, 2, 1], "img_size": 16 * encoder["patch_size"], "window_size": 4}
        stride = 8 * encoder["patch_size"]
        return {
            "encoder": encoder,
            "encoder_stride": stride,
            "mask_patch_size": stride,
            "img_size": encoder["img_size"],
        }
    if name == "ijepa":
        encoder = {key: config[key] for key in ("embed_dim", "depth", "num_heads")}
        sizes = {"patch_size": patch, "mlp_ratio": config["mlp_ratio"], "img_size": 14 * patch, "crop_size": 14 * patch}
        return sizes | {"encoder": encoder, "pred_depth": any_of([1, 2]), "pred_emb_dim": 16 * heads, "ema": [0.9, 1.0]}
    if name == "mff":
        return mff(config, any_of, on)
    hog = {"hog_nbins": any_of([6, 9, 18]), "hog_bias": on}
    raw = {"norm_pix_loss": on}
    if name == "localmim-vit":
        return config | hog | {"depth": any_of([7, 8, 10, 13])}
    if name == "localmim-swin":
        config.pop("depth")
        return config | hog | raw | swin(any_of, decoder_heads, seed)
    return config | raw | {"depth": any_of([11, 12, 14]) if name == "deepmim" else config["depth"]}


def mff(config: dict[str, Any], any_of: Callable[[list[Any]], Any], on: bool) -> dict[str, Any]:
    depth, width = any_of([4, 5, 12]), config["embed_dim"]
    shared = ("img_size", "patch_size", "num_heads", "decoder_embed_dim", "decoder_depth", "decoder_num_heads")
    return {key: config[key] for key in shared} | {
        "embed_dims": width,
        "num_layers": depth,
        "out_indices": any_of([[depth - 1], [0, depth - 1], [0, 1, depth - 1]]),
        "mask_ratio": 0.75,
        "norm_pix": on,
        "feedforward_channels": int(width * config["mlp_ratio"]),
        "norm_cfg": "LN eps 1e-6 everywhere",
        "in_channels": 3,
    }


def swin(any_of: Callable[[list[Any]], Any], decoder_heads: int, seed: int) -> dict[str, Any]:
    patch = any_of([2, 4])
    return {
        "patch_size": patch,
        "img_size": 8 * patch * any_of([2, 4]),
        "embed_dim": any_of([8, 16]),
        "depths": [any_of([1, 2, 3]) for _ in range(4)],
        "num_heads": any_of([[1, 2, 4, 8], [2, 2, 4, 4]]),
        "window_size": 4 + 3 * (seed % 2),
        "decoder_embed_dim": 16 * decoder_heads,
        "target": ("HOG", "Pixel")[seed // 2 % 2],
        "mlp_ratio": 4.0,
    }


def case_of(name: str, config: dict[str, Any]) -> Case:
    """The released model of a config, with the names and shapes of our counterpart and weights by the formula."""
    kind = CASES[SOURCES[name]]
    unlisted = kind({"config": config, "entries": []})
    with torch.device("meta"):
        exported = unlisted.format.export(unlisted.build())
    listed = [[entry, list(tensor.shape), "param"] for entry, tensor in exported.items()]
    return kind({"config": config, "entries": listed})


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", SOURCES)
def test_a_file_of_any_size_goes_in_and_out_bit_for_bit(
    name: str, seed: int, save_released: Callable[[Case], Path], tmp_path: Path
):
    config = draw(name, seed)
    case = case_of(name, config)
    given = {entry: torch.from_numpy(value) for entry, value in case.released.items()}
    found = recognize(given)
    assert found.format == name.removesuffix("-swin" if name == "simmim-swin" else "")
    architecture = found.architecture
    assert architecture.width == case.config["embed_dim"]
    assert architecture.image_size == config["img_size"]
    assert architecture.patch_size == case.config["patch_size"]
    round_trip(case, save_released(case), tmp_path, as_words(case))


def test_the_draws_cover_every_option():
    draws = {name: [draw(name, seed) for seed in SEEDS] for name in SOURCES}
    for name, option, values in (
        ("mirl", "weight_norm_pred", {True, False}),
        ("mae-finetune", "global_pool", {True, False}),
        ("mirl-finetune", "global_pool", {True, False}),
        ("localmim-vit", "hog_bias", {True, False}),
        ("crossmae", "weight_fm", {True, False}),
        ("crossmae", "use_input", {True, False}),
        ("crossmae", "self_attn", {True, False}),
        ("localmim-swin", "target", {"HOG", "Pixel"}),
        ("localmim-swin", "window_size", {4, 7}),
    ):
        assert {config[option] for config in draws[name]} == values, (name, option)
    for name in ("mae", "deepmim", "mirl", "mae-finetune"):
        for option in ("patch_size", "depth", "embed_dim", "img_size"):
            assert len({config[option] for config in draws[name]}) > 1, (name, option)


def test_entries_that_a_state_dict_leaves_out_are_in_a_released_file():
    case = case_of("localmim-swin", draw("localmim-swin", 0))
    assert any(name.endswith("relative_position_index") for name in case.shapes)
    assert not any(name.endswith("relative_position_index") for name in case.build().state_dict())

"""The released architectures, by their names in the golden files of parameter counts."""

import re
from collections.abc import Callable
from typing import Any

from cases import CASES
from cases.base import Case

SIZES = {"base": (768, 12, 12), "large": (1024, 24, 16), "huge": (1280, 32, 16)}
MIRL_SIZES = {"mirl_vit_small_patch16_depth54": (384, 54, 384, 1), "mirl_vit_base_depth48_patch16": (768, 48, 512, 2)}


def architecture(name: str) -> Case:
    """The case of an architecture.

    Raises:
        ValueError: The name is not one of the released ones.
    """
    for pattern, configure in PATTERNS.items():
        if found := re.fullmatch(pattern, name):
            source, config = configure(found)
            return CASES[source]({"config": config, "entries": []})
    raise ValueError(f"Unknown architecture '{name}'; tests/golden/architectures.py lists the known ones.")


def _vit(width: int, depth: int, num_heads: int, patch: int = 16) -> dict[str, Any]:
    sizes = {"img_size": 224, "patch_size": patch, "in_chans": 3, "mlp_ratio": 4.0}
    return sizes | {"embed_dim": width, "depth": depth, "num_heads": num_heads}


def _decoder(dim: int, depth: int, num_heads: int) -> dict[str, Any]:
    return {"decoder_embed_dim": dim, "decoder_depth": depth, "decoder_num_heads": num_heads}


def _mae(m: re.Match[str]) -> tuple[tuple[str, str], dict[str, Any]]:
    config = _vit(*SIZES[m[1]], patch=int(m[2])) | _decoder(512, 8, 16) | {"norm_pix_loss": False}
    return ("facebookresearch/mae", "models_mae.py"), config


def _mae_finetune(m: re.Match[str]) -> tuple[tuple[str, str], dict[str, Any]]:
    config = _vit(*SIZES[m[1]], patch=int(m[2])) | {"num_classes": 1000, "global_pool": m[3] == "True"}
    return ("facebookresearch/mae", "models_vit.py"), config


def _mirl_finetune(m: re.Match[str]) -> tuple[tuple[str, str], dict[str, Any]]:
    width = {"small": 384, "base": 768}[m[1]]
    config = _vit(width, int(m[2]), 12) | {"num_classes": int(m[4]), "global_pool": m[3] == "True"}
    return ("facebookresearch/mae", "models_vit.py"), config


def _deepmim(m: re.Match[str]) -> tuple[tuple[str, str], dict[str, Any]]:
    return ("OliverRensu/DeepMIM", "models_mae.py"), _vit(*SIZES["base"]) | _decoder(512, 4, 16)


def _localmim_vit(m: re.Match[str]) -> tuple[tuple[str, str], dict[str, Any]]:
    config = _vit(*SIZES[m[1]]) | _decoder(256, 1, 8) | {"hog_nbins": int(m[2]), "hog_bias": m[3] == "True"}
    return ("Haoqing-Wang/LocalMIM", "ViT/models_mim.py"), config


def _localmim_swin(m: re.Match[str]) -> tuple[tuple[str, str], dict[str, Any]]:
    config = {"img_size": 224, "patch_size": 4, "in_chans": 3, "embed_dim": 128, "depths": [2, 2, 18, 2]}
    config |= {"num_heads": [4, 8, 16, 32], "window_size": 7, "mlp_ratio": 4.0} | _decoder(128, 1, 4)
    config |= {"target": m[1], "hog_nbins": int(m[2]), "hog_bias": m[3] == "True", "norm_pix_loss": True}
    return ("Haoqing-Wang/LocalMIM", "Swin/models_mim.py"), config


def _mirl(m: re.Match[str]) -> tuple[tuple[str, str], dict[str, Any]]:
    width, depth, dim, blocks = MIRL_SIZES[m[0]]
    config = _vit(width, depth, 12) | {"decoder_depth": blocks, "decoder_num_heads": dim // 32}
    ends = [depth // 6 * k - 1 for k in range(1, 6)]
    config |= {"decoder_embed_dims": [dim] * 6, "out_indices": ends, "weight_norm_pred": True}
    return ("russellllaputa/MIRL", "models_mirl.py"), config


def _crossmae(m: re.Match[str]) -> tuple[tuple[str, str], dict[str, Any]]:
    sizes = SIZES | {"small": (384, 12, 6)}
    decoder = _decoder(256, 12, 8) if m[1] == "small" else _decoder(512, 12, 16)
    config = _vit(*sizes[m[1]], patch=int(m[2])) | decoder | {"norm_pix_loss": True}
    config |= {"weight_fm": True, "use_fm": [-1], "use_input": True, "self_attn": False}
    return ("TonyLianLong/CrossMAE", "models_cross.py"), config


def _simmim(m: re.Match[str]) -> tuple[tuple[str, str], dict[str, Any]]:
    files = "models/simmim.py, models/{}.py, data/data_simmim.py (MaskGenerator)"
    shared = {"in_chans": 3, "mlp_ratio": 4.0}
    if m[1] == "vit":
        encoder = {"img_size": 224, "patch_size": 16, "embed_dim": 768, "depth": 12, "num_heads": 12}
        encoder |= {"init_values": 0.1, "use_abs_pos_emb": False, "use_shared_rel_pos_bias": True}
        config = {"encoder_stride": 16, "mask_patch_size": 32, "img_size": 224, "encoder": encoder | shared}
        return ("microsoft/SimMIM", files.format("vision_transformer")), config
    width, heads = {"base": (128, [4, 8, 16, 32]), "large": (192, [6, 12, 24, 48])}[m[2]]
    encoder = {"img_size": 192, "patch_size": 4, "embed_dim": width, "depths": [2, 2, 18, 2], "num_heads": heads}
    encoder |= {"window_size": int(m[3])}
    config = {"encoder_stride": 32, "mask_patch_size": 32, "img_size": 192, "encoder": encoder | shared}
    return ("microsoft/SimMIM", files.format("swin_transformer")), config


def _ijepa(m: re.Match[str]) -> tuple[tuple[str, str], dict[str, Any]]:
    width, depth, heads, ratio = {
        "base": (768, 12, 12, 4.0),
        "huge": (1280, 32, 16, 4.0),
        "giant": (1408, 40, 16, 48 / 11),
    }[m[1]]
    size = int(m[3] or 224)
    config = {"img_size": size, "crop_size": size, "patch_size": int(m[2]), "mlp_ratio": ratio, "ema": [0.996, 1.0]}
    config |= {"encoder": {"embed_dim": width, "depth": depth, "num_heads": heads}}
    files = "src/train.py (main), src/models/vision_transformer.py, src/helper.py, src/masks/utils.py"
    return ("facebookresearch/ijepa", files), config | {"pred_depth": int(m[4]), "pred_emb_dim": int(m[5])}


PATTERNS: dict[str, Callable[[re.Match[str]], tuple[tuple[str, str], dict[str, Any]]]] = {
    r"mae/mae_vit_(base|large|huge)_patch(\d+) \(pre-training model\)": _mae,
    r"mae/models_vit\.vit_(base|large|huge)_patch(\d+) global_pool=(True|False)(?: \(count only\))?": _mae_finetune,
    r"deepmim/mae_vit_base_patch16": _deepmim,
    r"localmim/MIM_vit_(base|large|huge)_patch16 hog_nbins=(\d+) hog_bias=(True|False)": _localmim_vit,
    r"localmim/mim_swin_base_patch4_win7 target=(\w+) nbins=(\d+) bias=(True|False)": _localmim_swin,
    r"crossmae/mae_vit_(small|base|large|huge)_patch(\d+) weight_fm use_input decoder_depth=12": _crossmae,
    r"simmim/(vit)_(base)_patch16 shared relative bias": _simmim,
    r"simmim/(swin)_(base|large)_patch4 window=(\d+)": _simmim,
    r"ijepa/vit_(base|huge|giant)_patch(\d+)(?:_(448))? predictor=(\d+)x(\d+)": _ijepa,
    "|".join(MIRL_SIZES): _mirl,
    r"models_vit\.vit_(small|base)_depth(\d+)_patch16 global_pool=(True|False) class_num=(\d+)": _mirl_finetune,
}

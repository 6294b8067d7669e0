"""SimMIM's released pre-training model, on a ViT and on a Swin."""

import math
from functools import partial
from typing import Any, ClassVar, cast

import formulas
import numpy as np
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from cases.base import Case, Run, StoredNoise, count
from mimbench.core import Grid, Mask
from mimbench.encoders import Encoder, ViTEncoder, beit, swin
from mimbench.maskers import Masker, RandomMasker
from mimbench.methods import Method, SimMIM
from mimbench.targets import PixelTarget
from mimbench.weights import SIMMIM_FORMAT

FILES = "models/simmim.py, models/{}.py, data/data_simmim.py (MaskGenerator)"


class SmallestHidden(StoredNoise):
    """The released masks: cells with the smallest noise are hidden, ceil(n * ratio) of n."""

    def num_visible(self, grid: Grid) -> int:
        cells = grid[0] * grid[1]
        return cells - math.ceil(cells * self.ratio)

    def order(self, keys: Tensor, grid: Grid) -> Tensor:
        return (-self.noise).argsort(dim=1).argsort(dim=1).to(keys.device)


class SimMIMCase(Case):
    """`SimMIM` of microsoft/SimMIM; `config` is flat here, with the encoder's arguments."""

    format = SIMMIM_FORMAT
    float32_gradients = 2e-5
    known: ClassVar[dict[str, tuple[Any, ...] | None]]

    def _check_options(self) -> None:
        c = self.config
        inner = dict(c.pop("encoder"))
        for name, value in inner.items():
            allowed = self.known.get(name, ())
            if allowed is not None and value not in allowed:
                raise ValueError(f"{type(self).__name__} cannot rebuild {name}={value!r}; it knows {allowed}.")
        if c.keys() - {"encoder_stride", "mask_patch_size", "img_size", "origin"}:
            raise ValueError(f"{type(self).__name__} cannot rebuild {c}.")
        c |= inner | {"decoder_depth": 0}

    def encoder(self) -> Encoder:
        raise NotImplementedError

    def masker(self) -> Masker:
        if "inputs" not in self.document:
            return RandomMasker(0.6)
        return SmallestHidden(self.document["inputs"]["mask_ratio"], self.noise)

    def build(self) -> SimMIM:
        c = self.config
        target = partial(PixelTarget, normalize=False, absolute=True, channels=c["in_chans"])
        return SimMIM(self.encoder(), self.masker(), target, c["encoder_stride"], c["mask_patch_size"])

    def mask_values(self, mask: Mask) -> list[Any]:
        side = self.config["img_size"] // self.config["patch_size"]
        return mask.hides((side, side)).int().unflatten(1, (side, side)).tolist()

    def gradients(self, method: Method) -> dict[str, np.ndarray | None]:
        names, found = self.format.names(method), dict[str, Tensor]()
        for name, p in method.named_parameters():
            if p.requires_grad:
                assert p.grad is not None, name
                found[names[name]] = self.format.write(name, p.grad)
        plain = isinstance(method.encoder, ViTEncoder)
        separated = SIMMIM_FORMAT.separated(found) if plain else found
        return {name: gradient.double().numpy() for name, gradient in separated.items()}

    def observe(self, run: Run) -> dict[str, Tensor | list[Any]]:
        method, mask = cast("SimMIM", run.method), run.output.mask
        depth = method.encoder.depth
        raw = method.encoder(run.images, range(depth + 1), mask, method.mask_token, normed=False)
        last = run.features[depth]
        prediction, stride = run.output.predictions[0], self.config["encoder_stride"]
        values = prediction.unflatten(2, (stride, stride, -1)).permute(0, 4, 2, 3, 1).flatten(1, 3)
        kind = "stage" if "depths" in self.config else "block"
        hidden = mask.hides((run.images.shape[2], run.images.shape[3])).reshape(2, 1, *run.images.shape[2:])
        image = method.target.to_image(prediction, run.images)
        distance = (run.images - image).abs()[hidden.expand_as(image)].min()
        return {
            "pred": image,
            "pred_before_pixel_shuffle": values.unflatten(2, last.grid),
            "latent": last.patches.transpose(1, 2).unflatten(2, last.grid),
            "masked_pixels_in_batch": torch.tensor(int(hidden.sum())),
            "nearest_to_the_kink_of_the_absolute_error": distance,
        } | {f"{kind}{k}": raw[k].sequence for k in range(1, depth + 1)}


class SimMIMViTCase(SimMIMCase):
    """`SimMIM(VisionTransformerForSimMIM)` with a shared relative bias, or as a plain ViT."""

    source = ("microsoft/SimMIM", FILES.format("vision_transformer"))
    known: ClassVar = {
        **dict.fromkeys(("img_size", "patch_size", "in_chans", "embed_dim", "depth", "num_heads", "mlp_ratio")),
        "qkv_bias": (True,),
        "drop_rate": (0.0,),
        "drop_path_rate": (0.0,),
        "init_values": None,
        "use_abs_pos_emb": (True, False),
        "use_rel_pos_bias": (False,),
        "use_shared_rel_pos_bias": (True, False),
        "use_mean_pooling": (False,),
        "norm_layer": ("partial(nn.LayerNorm, eps=1e-6)",),
    }

    def _check_options(self) -> None:
        super()._check_options()
        if self.config["use_abs_pos_emb"] is self.config["use_shared_rel_pos_bias"]:
            raise ValueError("SimMIMViTCase rebuilds absolute positions or a shared relative bias, not both or none.")

    def is_fixed(self, name: str) -> bool:
        return formulas.is_fixed(name) and not name.endswith("pos_embed")

    def fixed(self, name: str) -> np.ndarray:
        return beit_index(self.config["img_size"] // self.config["patch_size"])

    def infer(self) -> dict[str, Any]:
        width, channels, patch, _ = self.shapes["encoder.patch_embed.proj.weight"]
        distances, heads = self.shapes["encoder.rel_pos_bias.relative_position_bias_table"]
        size = patch * (round((distances - 3) ** 0.5) + 1) // 2
        encoder = {"img_size": size, "patch_size": patch, "in_chans": channels, "embed_dim": width, "num_heads": heads}
        encoder |= {"depth": count(self.shapes, "encoder.blocks."), "init_values": 0.1}
        encoder |= {"mlp_ratio": self.shapes["encoder.blocks.0.mlp.fc1.bias"][0] / width}
        encoder |= {"use_abs_pos_emb": False, "use_shared_rel_pos_bias": True}
        return {"encoder": encoder, "encoder_stride": patch, "mask_patch_size": 32, "img_size": size}

    def encoder(self) -> Encoder:
        c = self.config
        sizes = (c["img_size"], c["patch_size"], c["embed_dim"], c["depth"], c["num_heads"], c["mlp_ratio"])
        if c["use_shared_rel_pos_bias"]:
            return beit(*sizes, layer_scale=c["init_values"], in_channels=c["in_chans"])
        names = ("img_size", "patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio", "in_chans", "init_values")
        return ViTEncoder(VisionTransformer(**{name: c[name] for name in names}, num_classes=0))


class SimMIMSwinCase(SimMIMCase):
    """`SimMIM(SwinTransformerForSimMIM)`."""

    source = ("microsoft/SimMIM", FILES.format("swin_transformer"))
    known: ClassVar = {
        **dict.fromkeys(("img_size", "patch_size", "in_chans", "embed_dim", "depths", "num_heads", "mlp_ratio")),
        "window_size": None,
        "qkv_bias": (True,),
        "qk_scale": (None,),
        "drop_rate": (0.0,),
        "drop_path_rate": (0.0,),
        "ape": (False,),
        "patch_norm": (True,),
        "use_checkpoint": (False,),
        "norm_layer": ("nn.LayerNorm, eps 1e-5 (the released default)",),
    }

    def infer(self) -> dict[str, Any]:
        width, channels, patch, _ = self.shapes["encoder.patch_embed.proj.weight"]
        depths = [count(self.shapes, f"encoder.layers.{i}.blocks.") for i in range(4)]
        tables = [self.shapes[f"encoder.layers.{i}.blocks.0.attn.relative_position_bias_table"] for i in range(4)]
        window = (round(tables[0][0] ** 0.5) + 1) // 2
        windows = self.shapes["encoder.layers.0.blocks.1.attn_mask"][0]
        size = round(windows**0.5) * window * patch
        encoder = {"img_size": size, "patch_size": patch, "in_chans": channels, "embed_dim": width, "mlp_ratio": 4.0}
        encoder |= {"depths": depths, "num_heads": [heads for _, heads in tables], "window_size": window}
        return {"encoder": encoder, "encoder_stride": 8 * patch, "mask_patch_size": 32, "img_size": size}

    def fixed(self, name: str) -> np.ndarray:
        if name.endswith("relative_position_index"):
            return swin_index(round(self.shapes[name][0] ** 0.5))
        stage = int(name.split(".")[2])
        side = self.config["img_size"] // self.config["patch_size"] // 2**stage
        return swin_attn_mask(side, round(self.shapes[name][1] ** 0.5))

    def encoder(self) -> Encoder:
        c = self.config
        return swin(
            c["img_size"],
            c["embed_dim"],
            c["depths"],
            c["num_heads"],
            c["window_size"],
            c["patch_size"],
            c["mlp_ratio"],
            c["in_chans"],
            norm_eps=1e-5,
        )


def swin_index(side: int) -> np.ndarray:
    """Row of the table of relative positions for every pair of tokens of a window."""
    row, column = np.divmod(np.arange(side * side), side)
    rows, columns = (axis[:, None] - axis[None] + side - 1 for axis in (row, column))
    return rows * (2 * side - 1) + columns


def beit_index(side: int) -> np.ndarray:
    """The same with a class token, whose three kinds of pairs have the last three rows of the table."""
    distances = (2 * side - 1) ** 2
    index = np.pad(swin_index(side), ((1, 0), (1, 0)))
    index[0, :], index[:, 0], index[0, 0] = distances, distances + 1, distances + 2
    return index


def swin_attn_mask(side: int, window: int) -> np.ndarray:
    """-100 between tokens that are neighbors only by the cyclic shift of half a window."""
    part = np.zeros(side, dtype=int)
    part[side - window :] = 1
    part[side - window // 2 :] = 2
    region = 3 * part[:, None] + part
    cut = region.reshape(side // window, window, side // window, window).transpose(0, 2, 1, 3).reshape(-1, window**2)
    return np.where(cut[:, :, None] == cut[:, None], 0, -100).astype(np.float32)


CASES = (SimMIMViTCase, SimMIMSwinCase)

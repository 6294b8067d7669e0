"""What a model of weights looks like, and how it is built."""

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Literal, cast

import torch
from jaxtyping import Float
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from mimbench.encoders import Encoder, swin, vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE, MIRL, DeepMIM, LocalMIM, Method
from mimbench.targets import HOGTarget, Target

# Attention heads by width in the papers' ViTs (ViT-Ti, S, B, L, H); shapes do not tell them.
_HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}
_MIRL_HEADS = _HEADS | {384: 12}
# All four papers' decoders have heads of 32 channels.
_DECODER_HEAD = 32


@dataclass(frozen=True)
class Branches:
    """The decoders of a pre-training model.

    Attributes:
        method: "mae", "deepmim", "localmim" or "mirl".
        depths: The encoder's depths they read.
        dim: Width of the last decoder; LocalMIM's first one on Swin has half of it.
        target_dim: Channels of one target vector of the last decoder.
        bins: Orientations of HOG targets; None where the weights hold no HOG.
        bias: Whether the HOG has a bias.
        unit_head: Whether MIRL's heads are weight-normalised.
    """

    method: str
    depths: tuple[int, ...]
    dim: int
    num_blocks: int
    mlp_ratio: float
    target_dim: int
    num_heads: int | None = None
    bins: int | None = None
    bias: bool = False
    unit_head: bool = False


@dataclass(frozen=True)
class Architecture:
    """Everything but the numbers.

    Attributes:
        family: "vit" or "swin".
        num_blocks: Blocks of a ViT, or of every stage of a Swin.
        num_heads: Likewise; None where shapes do not tell and no paper does.
        window: Side of a Swin's windows in tokens.
        image_size: In pixels; None where shapes do not tell.
        num_classes: Outputs of a classifier's head; 0 without a head.
        global_pool: What the head sees: "avg" of the patches, or the class "token".
        branches: Decoders, if any.
    """

    family: str
    width: int
    num_blocks: tuple[int, ...]
    patch_size: int
    image_size: int | None
    mlp_ratio: float
    num_heads: tuple[int, ...] | None = None
    in_channels: int = 3
    num_registers: int = 0
    window: int | None = None
    num_classes: int = 0
    global_pool: Literal["token", "avg"] = "token"
    branches: Branches | None = None

    @property
    def classifier(self) -> bool:
        """Whether it is a classifier instead of a features' encoder."""
        return self.num_classes > 0 or self.global_pool == "avg"

    def completed(
        self,
        format_name: str,
        image_size: int | None = None,
        num_heads: int | None = None,
        decoder_heads: int | None = None,
    ) -> "Architecture":
        """With what shapes do not tell: as given, else as in the paper behind a format.

        Raises:
            ValueError: The papers have no such width and nothing is given, or a Swin's heads are given.
        """
        image_size = self.image_size or image_size or 224
        whole = replace(self, image_size=image_size)
        if self.branches is not None:
            whole = replace(whole, branches=_with_heads(self.branches, decoder_heads))
        if self.family == "swin":
            if num_heads is not None:
                raise ValueError("A Swin's heads follow from its relative-position tables; leave --num-heads out.")
            return whole
        if num_heads is None:
            num_heads = (_MIRL_HEADS if format_name == "mirl" else _HEADS).get(self.width)
        if num_heads is None:
            raise ValueError(
                f"Shapes do not tell the attention heads of a ViT, and no paper has one {self.width} wide; "
                "say them with --num-heads."
            )
        if num_heads < 1 or self.width % num_heads:
            raise ValueError(f"{num_heads} heads do not divide a width of {self.width}; give other --num-heads.")
        return replace(whole, num_heads=(num_heads,))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Architecture":
        """The inverse of `as_dict`, after JSON has made lists of tuples."""
        plain: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in values.items()}
        if branches := values.get("branches"):
            plain["branches"] = Branches(**(branches | {"depths": tuple(branches["depths"])}))
        return cls(**plain)


class Pretrained(nn.Module):
    """An encoder without a method, under the name it has in one."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder


class UnknownTarget(Target):
    """Holds the place of a target that a file of weights does not tell; it has a size and no values."""

    def __init__(self, cell: int, dim: int):
        super().__init__()
        self.cell = cell
        self.dim = dim

    def values(self, prepared: Tensor) -> Float[Tensor, "b n d"]:
        raise ValueError("Weights do not tell their target; load method.safetensors into a method that has one.")


def build(architecture: Architecture, released_quirks: bool = False) -> nn.Module:
    """The method, the bare encoder (`Pretrained`) or the classifier (timm's), with fresh weights.

    PyTorch's random numbers go on as if nothing had been built.

    Args:
        architecture: A completed one.
        released_quirks: Whether a Swin computes what LocalMIM's released code does.

    Raises:
        ValueError: The parts do not fit together.
    """
    with torch.random.fork_rng(devices=[]):
        if architecture.classifier:
            return _classifier(architecture)
        encoder = _encoder(architecture, released_quirks)
        if architecture.branches is None:
            return Pretrained(encoder)
        return _method(encoder, architecture.branches, shared=architecture.family == "swin")


def trunk_prefix(module: nn.Module) -> str:
    """Where the timm model stands in a module that `build` made."""
    return "" if isinstance(module, VisionTransformer) else "encoder.trunk."


def _with_heads(branches: Branches, given: int | None) -> Branches:
    num_heads = given or branches.dim // _DECODER_HEAD
    if num_heads < 1 or branches.dim % num_heads:
        raise ValueError(
            f"Shapes do not tell the attention heads of a decoder, and no paper has one {branches.dim} wide; "
            "say them with --decoder-heads."
        )
    return replace(branches, num_heads=num_heads)


def _encoder(a: Architecture, released_quirks: bool) -> Encoder:
    assert a.image_size is not None
    assert a.num_heads is not None
    if a.family == "swin":
        assert a.window is not None
        sizes = (a.image_size, a.width, a.num_blocks, a.num_heads, a.window, a.patch_size, a.mlp_ratio, a.in_channels)
        return swin(*sizes, released_quirks=released_quirks)
    (depth,), (heads,) = a.num_blocks, a.num_heads
    return vit(a.image_size, a.patch_size, a.width, depth, heads, a.mlp_ratio, a.num_registers, a.in_channels)


def _classifier(a: Architecture) -> VisionTransformer:
    assert a.num_heads is not None
    return VisionTransformer(
        img_size=a.image_size or 224,
        patch_size=a.patch_size,
        in_chans=a.in_channels,
        embed_dim=a.width,
        depth=a.num_blocks[0],
        num_heads=a.num_heads[0],
        mlp_ratio=a.mlp_ratio,
        reg_tokens=a.num_registers,
        num_classes=a.num_classes,
        global_pool=a.global_pool,
        weight_init="skip",
    )


def _method(encoder: Encoder, branches: Branches, shared: bool) -> Method:
    assert branches.num_heads is not None
    masker = RandomMasker(0.75, shared=shared)
    sizes: dict[str, Any] = {"dim": branches.dim, "num_blocks": branches.num_blocks, "num_heads": branches.num_heads}
    sizes["mlp_ratio"] = branches.mlp_ratio
    target = partial(UnknownTarget, dim=branches.target_dim)
    if branches.method == "mae":
        return MAE(encoder, masker, target, **sizes)
    if branches.method == "mirl":
        return MIRL(encoder, masker, target, branches.depths, unit_head=branches.unit_head, **sizes)
    if branches.method == "deepmim":
        return DeepMIM(encoder, masker, target, branches.depths, **sizes)
    return LocalMIM(encoder, masker, _localmim_target(branches, encoder), branches.depths, **sizes)


def _localmim_target(branches: Branches, encoder: Encoder) -> Any:
    channels = cast("nn.Conv2d", encoder.get_submodule("trunk.patch_embed.proj")).in_channels
    if branches.bins is not None:
        return partial(HOGTarget, bins=branches.bins, bias=branches.bias, channels=channels)
    return lambda cell: UnknownTarget(cell, channels * cell * cell)

"""What a model of weights looks like."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

# Attention heads by width in the papers' ViTs (ViT-Ti, S, B, L, H); shapes do not tell them.
_HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}
_MIRL_HEADS = _HEADS | {384: 12}
# All four papers' decoders have heads of 32 channels.
_DECODER_HEAD = 32


@dataclass(frozen=True)
class Branches:
    """The decoders of a pre-training model.

    Attributes:
        method: "mae", "deepmim", "localmim", "mirl", "mff", "crossmae", "ijepa" or "simmim".
        depths: The encoder's depths they read; empty where neither shapes nor a released code tells.
        dim: Width of the last decoder; LocalMIM's first one on Swin has half of it.
        target_dim: Channels of one target vector of the last decoder.
        bins: Orientations of HOG targets; None where the weights hold no HOG.
        bias: Whether the HOG has a bias.
        unit_head: Whether MIRL's heads are weight-normalized.
        mixture: Whether CrossMAE mixes depths.
        self_attention: Whether CrossMAE's queries attend to each other.
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
    mixture: bool = False
    self_attention: bool = False


@dataclass(frozen=True)
class Architecture:
    """Everything but the numbers.

    Attributes:
        family: "vit", "swin", or "beit", a ViT with a shared relative position bias.
        num_blocks: Blocks of a ViT, or of every stage of a Swin.
        num_heads: Likewise; None where shapes do not tell and no paper does.
        window: Side of a Swin's windows in tokens.
        image_size: In pixels; None where shapes do not tell.
        num_classes: Outputs of a classifier's head; 0 without a head.
        global_pool: What the head sees: "avg" of the patches, or the class "token".
        timm: Arguments of timm's VisionTransformer in which it differs from the papers' ViT.
        branches: Decoders, if any.
        norm_eps: Of a Swin's LayerNorms.
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
    timm: dict[str, Any] = field(default_factory=dict)
    branches: Branches | None = None
    norm_eps: float = 1e-6

    @property
    def classifier(self) -> bool:
        """Whether it has a head, or a norm behind the mean of the patches instead of one on every token."""
        return self.num_classes > 0 or self.timm.get("fc_norm", False)

    def completed(
        self,
        format_name: str,
        image_size: int | None = None,
        num_heads: int | None = None,
        decoder_heads: int | None = None,
        depths: tuple[int, ...] | None = None,
    ) -> "Architecture":
        """With what shapes do not tell: as given, else as in the paper behind a format.

        Raises:
            ValueError: The papers have no such width and nothing is given, or a Swin's heads are given.
        """
        image_size = self.image_size or image_size or 224
        whole = replace(self, image_size=image_size)
        if self.branches is not None:
            whole = replace(whole, branches=_with_depths(_with_heads(self.branches, decoder_heads), depths))
        if self.num_heads is not None and self.family != "vit":
            if num_heads is not None:
                raise ValueError("A Swin's heads follow from its relative-position tables; leave --num-heads out.")
            return whole
        if num_heads is None:
            num_heads = (_MIRL_HEADS if format_name.startswith("mirl") else _HEADS).get(self.width)
        if num_heads is None:
            raise ValueError(
                f"Shapes do not tell the attention heads of a ViT, and no paper has one {self.width} wide; "
                "say them with --num-heads."
            )
        if num_heads < 1 or self.width % num_heads:
            raise ValueError(f"{num_heads} heads do not divide a width of {self.width}; give other --num-heads.")
        if whole.branches is not None and whole.branches.method == "ijepa" and decoder_heads is None:
            # The predictor has as many heads as the encoder.
            whole = replace(whole, branches=replace(whole.branches, num_heads=num_heads))
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


def _with_heads(branches: Branches, given: int | None) -> Branches:
    if not branches.num_blocks:
        return replace(branches, num_heads=0)
    num_heads = given or branches.dim // _DECODER_HEAD
    if num_heads < 1 or branches.dim % num_heads:
        raise ValueError(
            f"Shapes do not tell the attention heads of a decoder, and no paper has one {branches.dim} wide; "
            "say them with --decoder-heads."
        )
    return replace(branches, num_heads=num_heads)


def _with_depths(branches: Branches, given: tuple[int, ...] | None) -> Branches:
    if not (given or branches.depths):
        raise ValueError(
            "Neither shapes nor the released code tell which depths the decoders of so few blocks read; "
            "say them with --depths, or leave the decoders out with --encoder-only."
        )
    return replace(branches, depths=given or branches.depths)

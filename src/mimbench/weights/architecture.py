"""The architecture of a model, as far as a file of weights shows it."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

# Attention heads by width in the papers' ViTs (ViT-Ti, S, B, L, H), which the shapes of weights do not show.
_HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}
_MIRL_HEADS = _HEADS | {384: 12}
# The decoders of all four papers have heads of 32 channels.
_DECODER_HEAD = 32


@dataclass(frozen=True)
class Branches:
    """The decoders of a pre-training model.

    Attributes:
        method: "mae", "deepmim", "localmim", "mirl", "mff", "crossmae", "ijepa" or "simmim".
        depths: Encoder depths that they read; empty if neither shapes nor the released code determine them.
        dim: Width of the last decoder; the first one of LocalMIM on Swin has half of it.
        target_dim: Channels of one target vector of the last decoder.
        bins: Orientations of HOG targets; None if the file has no HOG weights.
        bias: Whether HOG has a bias.
        unit_head: Whether MIRL's heads are weight-normalized.
        mixture: Whether CrossMAE's decoder reads a mixture of depths.
        self_attention: Whether the queries of CrossMAE attend to each other.
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
    """Sizes and options of a model, without its weights.

    Attributes:
        family: "vit", "swin", or "beit", a ViT with a shared relative position bias.
        num_blocks: Number of blocks of a ViT, or of each stage of a Swin.
        num_heads: Attention heads of a ViT, or of each stage of a Swin; None if neither shapes nor papers determine
            them.
        window: Side of the windows of a Swin in tokens.
        image_size: Side of images in pixels; None if shapes do not determine it.
        num_classes: Outputs of the classifier's head; 0 without a head.
        global_pool: Input of the head: "avg", the mean of the patches, or "token", the class token.
        timm: Arguments of timm's VisionTransformer that differ from the ViT of the papers.
        branches: Decoders, if any.
        norm_eps: Epsilon of the LayerNorms of a Swin.
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
        """Whether the model has a head, or a norm after the mean of the patches instead of a norm of each token."""
        return self.num_classes > 0 or self.timm.get("fc_norm", False)

    def completed(
        self,
        format_name: str,
        image_size: int | None = None,
        num_heads: int | None = None,
        decoder_heads: int | None = None,
        depths: tuple[int, ...] | None = None,
    ) -> "Architecture":
        """A copy with the values that shapes do not show: the given ones, or those of the paper of the format.

        Raises:
            ValueError: No paper has this width and `num_heads` is not given, or it is given for a Swin.
        """
        image_size = self.image_size or image_size or 224
        whole = replace(self, image_size=image_size)
        if self.branches is not None:
            whole = replace(whole, branches=_with_depths(_with_heads(self.branches, decoder_heads), depths))
        if self.num_heads is not None and self.family != "vit":
            if num_heads is not None:
                raise ValueError("The heads of a Swin follow from its relative position tables; leave out --num-heads.")
            return whole
        if num_heads is None:
            num_heads = (_MIRL_HEADS if format_name.startswith("mirl") else _HEADS).get(self.width)
        if num_heads is None:
            raise ValueError(
                f"The weights do not show the number of attention heads, and no paper has a ViT of width "
                f"{self.width}; give it with --num-heads."
            )
        if num_heads < 1 or self.width % num_heads:
            raise ValueError(f"{num_heads} heads do not divide the width of {self.width}; change --num-heads.")
        if whole.branches is not None and whole.branches.method == "ijepa" and decoder_heads is None:
            # The predictor has as many heads as the encoder.
            whole = replace(whole, branches=replace(whole.branches, num_heads=num_heads))
        return replace(whole, num_heads=(num_heads,))

    def as_dict(self) -> dict[str, Any]:
        """The architecture as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Architecture":
        """The inverse of `as_dict`; accepts lists, into which JSON turns tuples."""
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
            f"The weights do not show the attention heads of the decoder, and no paper has width {branches.dim}; "
            "give them with --decoder-heads."
        )
    return replace(branches, num_heads=num_heads)


def _with_depths(branches: Branches, given: tuple[int, ...] | None) -> Branches:
    if not (given or branches.depths):
        raise ValueError(
            "Neither the weights nor the released code show which depths the decoders read in so few blocks; "
            "give them with --depths, or leave out the decoders with --encoder-only."
        )
    return replace(branches, depths=given or branches.depths)

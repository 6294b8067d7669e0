"""How UPerNet is fine-tuned."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class SegmentRecipe:
    """A recipe; by default that of MAE's ViT-B on ADE20K.

    Attributes:
        name: What results are called by.
        lr: Rate of the head.
        layer_decay: Factor of the rate from a layer to the one before it; 1 for none.
        drop_path: Rate at which the last block is skipped.
        weight_decay: Of matrices.
        depths: Of the four levels; None: a third, half, two thirds and all of a ViT's blocks, a Swin's stages.
        channels: Of the head.
        size: Side of the crops and of the sliding window, in pixels; None: that of the data.
        batch_size: Effective.
        steps: Of the optimizer.
        warmup_steps: Linear.
        photometric: Whether brightness, contrast, saturation and hue of training images change.
    """

    name: str | None = "mae_base"
    lr: float = 1e-4
    layer_decay: float = 0.65
    drop_path: float = 0.1
    weight_decay: float = 0.05
    betas: Sequence[float] = (0.9, 0.999)
    depths: Sequence[int] | None = (4, 6, 8, 12)
    channels: int = 768
    size: int | None = 512
    batch_size: int = 16
    steps: int = 160_000
    warmup_steps: int = 1500
    photometric: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))
        object.__setattr__(self, "depths", None if self.depths is None else tuple(self.depths))
        if not self.name:
            raise ValueError("Segmentation needs a recipe: segment=small, segment=mae_base or another of conf/segment.")
        for name in ("lr", "channels", "batch_size", "steps", "size"):
            if (value := getattr(self, name)) is not None and value <= 0:
                raise ValueError(f"segment.{name} is {value}; it must be positive.")
        if min(self.weight_decay, self.warmup_steps) < 0:
            raise ValueError("segment.weight_decay and segment.warmup_steps must not be negative.")
        if not 0 < self.layer_decay <= 1 or not 0 <= self.drop_path < 1:
            raise ValueError(
                "segment.layer_decay must lie in (0, 1] and segment.drop_path in [0, 1), got "
                f"{self.layer_decay} and {self.drop_path}."
            )

"""Recipes for fine-tuning UPerNet."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class SegmentRecipe:
    """A recipe for UPerNet; the defaults are those of MAE's ViT-B on ADE20K.

    Attributes:
        name: Name of the recipe in the results.
        lr: Learning rate of the head.
        layer_decay: Factor of the learning rate from each layer to the previous one; 1 for none.
        drop_path: Probability of skipping the last block; rises linearly from 0 at the first block.
        weight_decay: Weight decay of matrices.
        depths: Depths of the four levels; by default a third, half, two thirds and all of the blocks of a ViT, or the
            stages of a Swin.
        channels: Channels of the head.
        size: Side of the crops and of the sliding window in pixels; by default the image size of the data.
        batch_size: Effective batch: images per optimizer step over all devices and accumulation.
        steps: Optimizer steps.
        warmup_steps: Optimizer steps of linear warm-up.
        photometric: Whether brightness, contrast, saturation and hue of training images are changed.
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

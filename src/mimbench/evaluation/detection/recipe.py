"""Recipes for training a detector."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class DetectionRecipe:
    """A recipe for Mask R-CNN on a pre-trained encoder; the defaults are ViTDet's released recipe for ViT-B on COCO.

    Attributes:
        name: Name of the recipe in the results.
        image_size: Side of the square into which images are scaled, in pixels; by default that of the data.
        batch_size: Effective batch: images per optimizer step over all devices and accumulation.
        lr: Learning rate of the heads and the encoder's last layer.
        layer_decay: Factor of the learning rate from each layer to the previous one.
        warmup_steps: Optimizer steps of linear warm-up from 0.001 of the rate.
        milestones: Fractions of training after which the rate drops to a tenth.
        drop_path: Probability of skipping the last block; rises linearly from 0 at the first block.
        scale_range: Range of the random scale of large-scale jitter; images are then cropped or padded.
        flip: Whether training flips images horizontally at random.
        width: Channels of the pyramid and of the heads.
        proposals: Boxes per image on which the heads are trained; twice as many, at most 1,000, are evaluated.
        window: Side of the attention windows of a ViT in patches.
        global_blocks: Number of blocks of a ViT with global attention.
        score_threshold: Detections with a lower score are dropped.
        frozen: Whether the encoder is not trained and has no drop path; only the pyramid and the heads are trained
            (Vasconcelos et al. 2022). `layer_decay` then has no effect.
    """

    name: str | None = "vitdet_base"
    image_size: int | None = 1024
    epochs: int = 100
    batch_size: int = 64
    lr: float = 1e-4
    weight_decay: float = 0.1
    betas: Sequence[float] = (0.9, 0.999)
    layer_decay: float = 0.7
    warmup_steps: int = 250
    milestones: Sequence[float] = (0.888889, 0.962961)
    drop_path: float = 0.1
    scale_range: Sequence[float] = (0.1, 2.0)
    flip: bool = True
    width: int = 256
    proposals: int = 512
    window: int = 14
    global_blocks: int = 4
    score_threshold: float = 0.05
    frozen: bool = False

    def __post_init__(self) -> None:
        for name in ("betas", "milestones", "scale_range"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for wrong, remedy in self._checks():
            if wrong:
                raise ValueError(remedy)

    def rate(self, step: int, total: int) -> float:
        """Learning rate after `step` of `total` optimizer steps, as a fraction of `lr`."""
        warm = min(1.0, 1e-3 + (1 - 1e-3) * step / self.warmup_steps) if self.warmup_steps else 1.0
        return warm * 0.1 ** sum(step >= milestone * total for milestone in self.milestones)

    def _checks(self) -> list[tuple[bool, str]]:
        low, high = self.scale_range if len(self.scale_range) == 2 else (0.0, 0.0)
        positive = ("epochs", "batch_size", "lr", "width", "proposals", "window")
        not_positive = [name for name in positive if getattr(self, name) <= 0]
        return [
            (
                not self.name,
                "Detection needs a recipe: detect=small, detect=vitdet_base or another of conf/detect.",
            ),
            (bool(not_positive), f"detect.{', '.join(not_positive)} must be above 0."),
            (self.image_size is not None and self.image_size < 1, "detect.image_size must be at least 1, or null."),
            (
                not 0 < low <= high,
                f"detect.scale_range is {list(self.scale_range)}; expected two increasing factors above 0.",
            ),
            (not 0 < self.layer_decay <= 1, f"detect.layer_decay is {self.layer_decay}; it must lie within (0, 1]."),
            (not 0 <= self.drop_path < 1, f"detect.drop_path is {self.drop_path}; it must lie within [0, 1)."),
            (
                self.frozen and self.drop_path > 0,
                "detect.frozen runs the encoder without drop path; set detect.drop_path=0.",
            ),
            (
                any(not 0 < m <= 1 for m in self.milestones) or min(self.warmup_steps, self.weight_decay) < 0,
                "detect.milestones must be within (0, 1], detect.warmup_steps and weight_decay at least 0.",
            ),
        ]

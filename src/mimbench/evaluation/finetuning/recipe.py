"""How a classifier is fine-tuned."""

from collections.abc import Sequence
from dataclasses import dataclass

from timm.data.auto_augment import rand_augment_transform

POOLINGS = ("avg", "token")
_AS_TIMM = "write it as timm does, such as rand-m9-mstd0.5-inc1, or null."


@dataclass(frozen=True)
class FineTuneRecipe:
    """A fine-tuning recipe; by default MAE's released one for ViT-B.

    Attributes:
        name: What results are called by.
        batch_size: Effective: images per optimizer step over all devices and accumulation.
        base_lr: Learning rate of the last layer per 256 images of the batch; or else ...
        lr: ... that rate itself.
        layer_decay: Factor of the learning rate from a layer to the one before it.
        drop_path: Rate at which the last block is skipped; the first never is, in between it rises linearly.
        warmup_epochs: Epochs of linear warm-up, fractions allowed.
        min_lr: Final learning rate of the last layer, absolute.
        weight_decay: Of matrices; never of vectors, biases, tokens and positions.
        mixup: Parameter of the beta distribution, 0 for none. With cutmix too, each batch takes one of both.
        cutmix: Likewise.
        randaugment: timm's description of RandAugment; None for none.
        random_erasing: Probability that a random rectangle becomes noise.
        crop_scale: Range of the area of crops; the source's own if None.
        ema: Decay of a moving average of the weights, which is evaluated in their place; None for none.
        pooling: "avg", the mean of the patch tokens and a fresh norm behind it, or "token", the class token.
        train_positions: Whether position codes train, as in the released codes.
    """

    name: str | None = "mae_base"
    epochs: int = 100
    batch_size: int = 1024
    base_lr: float | None = 5e-4
    lr: float | None = None
    layer_decay: float = 0.65
    drop_path: float = 0.1
    warmup_epochs: int | float = 5
    min_lr: float = 1e-6
    weight_decay: float = 0.05
    betas: Sequence[float] = (0.9, 0.999)
    label_smoothing: float = 0.1
    mixup: float = 0.8
    cutmix: float = 1.0
    randaugment: str | None = "rand-m9-mstd0.5-inc1"
    random_erasing: float = 0.25
    crop_scale: Sequence[float] | None = (0.08, 1.0)
    ema: float | None = None
    pooling: str = "avg"
    train_positions: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))
        if self.crop_scale is not None:
            object.__setattr__(self, "crop_scale", tuple(self.crop_scale))
        for wrong, remedy in self._checks():
            if wrong:
                raise ValueError(remedy)

    @property
    def peak_lr(self) -> float:
        """Of the last layer, after the warm-up."""
        return self.lr if self.lr is not None else (self.base_lr or 0.0) * self.batch_size / 256

    @property
    def mixes(self) -> bool:
        """Whether images of a batch are mixed."""
        return self.mixup > 0 or self.cutmix > 0

    def _checks(self) -> list[tuple[bool, str]]:
        inside = {
            "layer_decay": 0 < self.layer_decay <= 1,
            "drop_path": 0 <= self.drop_path < 1,
            "label_smoothing": 0 <= self.label_smoothing < 1,
            "random_erasing": 0 <= self.random_erasing <= 1,
            "ema": self.ema is None or 0 < self.ema < 1,
        }
        outside = [name for name, fits in inside.items() if not fits]
        negative = [n for n in ("mixup", "cutmix", "min_lr", "weight_decay", "warmup_epochs") if getattr(self, n) < 0]
        names = ", ".join(outside or negative)
        return [
            (
                not self.name,
                "Fine-tuning needs a recipe: finetune=small, finetune=mae_base or another of conf/finetune.",
            ),
            ((self.lr is None) == (self.base_lr is None), "Give finetune.base_lr or finetune.lr, the other null."),
            (min(self.epochs, self.batch_size) < 1, "finetune.epochs and finetune.batch_size must be at least 1."),
            (self.pooling not in POOLINGS, f"finetune.pooling is {self.pooling!r}; choose one of {list(POOLINGS)}."),
            (not _is_range(self.crop_scale), f"finetune.crop_scale is {self.crop_scale}; give a range within (0, 1]."),
            (bool(outside), f"finetune.{names} must lie between 0 and 1."),
            (bool(negative), f"finetune.{names} must not be negative."),
            (not _is_randaugment(self.randaugment), f"finetune.randaugment is {self.randaugment!r}; {_AS_TIMM}"),
        ]


def _is_range(scale: Sequence[float] | None) -> bool:
    return scale is None or (len(scale) == 2 and 0 < scale[0] <= scale[1] <= 1)


def _is_randaugment(text: str | None) -> bool:
    if text is None:
        return True
    try:
        rand_augment_transform(text, {})
    except (AssertionError, ValueError, KeyError, TypeError):
        return False
    return True

"""Recipes for fine-tuning a classifier."""

from collections.abc import Sequence
from dataclasses import dataclass

from timm.data.auto_augment import rand_augment_transform

POOLINGS = ("avg", "token")
_RANDAUGMENT = "expected timm's notation, such as rand-m9-mstd0.5-inc1, or null."


@dataclass(frozen=True)
class FineTuneRecipe:
    """A fine-tuning recipe; the defaults are MAE's released recipe for ViT-B.

    Attributes:
        name: Name of the recipe in the results.
        batch_size: Effective batch: images per optimizer step over all devices and accumulation.
        base_lr: Learning rate of the last layer per 256 images of the batch; null if `lr` is given.
        lr: Learning rate of the last layer; null if `base_lr` is given.
        layer_decay: Factor of the learning rate from each layer to the previous one.
        drop_path: Probability of skipping the last block; rises linearly from 0 at the first block.
        warmup_epochs: Epochs of linear warm-up, fractions allowed.
        min_lr: Final learning rate of the last layer, not scaled by the batch.
        weight_decay: Weight decay of matrices; vectors, biases, tokens and positions have none.
        mixup: Parameter of the beta distribution of mixup, 0 for none. If cutmix is on too, each batch uses one of
            them.
        cutmix: Parameter of the beta distribution of cutmix, 0 for none.
        randaugment: RandAugment in timm's notation, or null.
        random_erasing: Probability of replacing a random rectangle with noise.
        crop_scale: Range of the relative area of crops; by default that of the source.
        ema: Decay of a moving average of the weights, which is then evaluated; null for none.
        pooling: "avg", the mean of the patch tokens followed by a new norm, or "token", the class token.
        train_positions: Whether position embeddings are trained, as in the released code.
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
        """Learning rate of the last layer after the warm-up."""
        return self.lr if self.lr is not None else (self.base_lr or 0.0) * self.batch_size / 256

    @property
    def mixes(self) -> bool:
        """Whether mixup or cutmix is used."""
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
            (
                (self.lr is None) == (self.base_lr is None),
                "Give either finetune.base_lr or finetune.lr, and set the other to null.",
            ),
            (min(self.epochs, self.batch_size) < 1, "finetune.epochs and finetune.batch_size must be at least 1."),
            (self.pooling not in POOLINGS, f"finetune.pooling is {self.pooling!r}; expected one of {list(POOLINGS)}."),
            (
                not _is_range(self.crop_scale),
                f"finetune.crop_scale is {self.crop_scale}; expected a range within (0, 1].",
            ),
            (bool(outside), f"finetune.{names} must lie between 0 and 1."),
            (bool(negative), f"finetune.{names} must not be negative."),
            (not _is_randaugment(self.randaugment), f"finetune.randaugment is {self.randaugment!r}; {_RANDAUGMENT}"),
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

"""Protocols that fine-tune all or the last blocks of an encoder."""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mimbench.evaluation.base import Subject
from mimbench.evaluation.finetuning.classifier import named_blocks
from mimbench.evaluation.finetuning.fitting import fine_tune, folder, forget
from mimbench.evaluation.finetuning.recipe import FineTuneRecipe
from mimbench.evaluation.recipe_protocol import RecipeProtocol


@dataclass
class FineTune(RecipeProtocol):
    """finetune-<recipe>: the encoder trained end to end as a classifier.

    Features: ViT: mean of the patch tokens of the last block, then a new norm, or the class token after the
        pre-trained norm, as the recipe defines; Swin: the mean after its norm. Head: linear, see `classifier`.
    Augmentation, mixing, optimizer, schedule: those of the recipe, by timm; see `FineTuneRecipe`, `Augmentation`,
        `layer_groups` and `FineTuning`.
    Grid: none. Selection: none; the weights after the last epoch are evaluated, or their moving average if the recipe
        has one. Accuracy on "val" is logged every epoch but not used.
    Read once, after the last epoch: "test".
    """

    task = "finetune"

    recipe: FineTuneRecipe = field(default_factory=FineTuneRecipe)
    published: FineTuneRecipe = field(default_factory=FineTuneRecipe, metadata={"card": False})

    def __call__(self, subject: Subject) -> dict[str, Any]:
        directory = folder(subject, self.recipe, self.seed)
        result = fine_tune(subject, self.recipe, self.seed, directory, grad_checkpointing=self.grad_checkpointing)
        forget(directory)
        return result | {"recipe": asdict(self.recipe)}


@dataclass
class PartialFineTune(FineTune):
    """partial-finetune-<recipe>: accuracy by the number of last blocks that are trained (MAE, Figure 9).

    As `FineTune`, once for each number of blocks, always with the same initial head; the layers before these blocks are
    frozen. 0 trains the head, and with "avg" pooling the new norm before it; 0.5 also the MLP of the last block; all
    blocks is fine-tuning. MAE's authors choose the number of epochs for each point; here it is that of the recipe.

    Attributes:
        blocks: Numbers of blocks, multiples of 0.5; by default 0, 0.5, 1, 2, 4 ... and all.
    """

    task = "partial-finetune"

    blocks: Sequence[float] | None = None

    def __post_init__(self) -> None:
        self.blocks = None if self.blocks is None else tuple(self.blocks)
        if self.blocks is not None and (not self.blocks or min(self.blocks) < 0 or any(2 * k % 1 for k in self.blocks)):
            raise ValueError(f"blocks must be multiples of 0.5, such as [0, 0.5, 1, 4]; got {list(self.blocks)}.")

    def __call__(self, subject: Subject) -> dict[str, Any]:
        last = len(named_blocks(subject.encoder.trunk))
        blocks = numbers(last) if self.blocks is None else self.blocks
        if max(blocks) > last:
            raise ValueError(f"This encoder has {last} blocks, fewer than the {max(blocks):g} to train; lower blocks.")
        directory = folder(subject, self.recipe, self.seed)
        results = [
            fine_tune(
                replace(subject, encoder=copy.deepcopy(subject.encoder)),
                self.recipe,
                self.seed,
                directory / f"last-{number:g}",
                number,
                self.grad_checkpointing,
            )
            for number in blocks
        ]
        for number in blocks:
            forget(directory / f"last-{number:g}")
        points = ("accuracy", "val_accuracy", "trained_parameters", "train_seconds")
        curves = {name: [result[name] for result in results] for name in points}
        return {"blocks": list(blocks), **curves, "num_test": results[0]["num_test"], "recipe": asdict(self.recipe)}


def numbers(last: int) -> tuple[float, ...]:
    """0, 0.5, the powers of two below `last`, and `last`."""
    return (0, 0.5, *(2**i for i in range(last.bit_length()) if 2**i < last), last)

"""Fine-tuning as a protocol, whole and partial."""

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

    Features: ViT: mean of the patch tokens of the last block, then a fresh norm, or the class token after the
        pre-trained norm, as the recipe says; Swin: the mean after its norm. Head: linear, see `classifier`.
    Augmentation, mixing, optimizer, schedule: the recipe's, by timm; see `FineTuneRecipe`, `Augmentation`,
        `layer_groups` and `FineTuning`.
    Grid: none. Selection: none; the weights after the last epoch count, or their moving average where the recipe has
        one. Accuracy on "val" is logged every epoch and decides nothing.
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
    """partial-finetune-<recipe>: accuracy against the number of last blocks that train (MAE, Figure 9).

    Everything as in `FineTune`, once for every number of blocks, each from the same head; what comes before these
    blocks is frozen. 0 trains the head, and the fresh norm before it with "avg" pooling; 0.5 the MLP of the last block
    too; all blocks is fine-tuning. MAE's authors choose the number of epochs for every point, here it is the recipe's.

    Attributes:
        blocks: Numbers of blocks, in halves; None: 0, 0.5, 1, 2, 4 ... and all.
    """

    task = "partial-finetune"

    blocks: Sequence[float] | None = None

    def __post_init__(self) -> None:
        self.blocks = None if self.blocks is None else tuple(self.blocks)
        if self.blocks is not None and (not self.blocks or min(self.blocks) < 0 or any(2 * k % 1 for k in self.blocks)):
            raise ValueError(f"blocks counts last blocks in halves, such as [0, 0.5, 1, 4]; got {list(self.blocks)}.")

    def __call__(self, subject: Subject) -> dict[str, Any]:
        last = len(named_blocks(subject.encoder.trunk))
        blocks = numbers(last) if self.blocks is None else self.blocks
        if max(blocks) > last:
            raise ValueError(f"This encoder has {last} blocks, too few to train the last {max(blocks):g} of them.")
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
    """0, a half, powers of two and all of `last` blocks."""
    return (0, 0.5, *(2**i for i in range(last.bit_length()) if 2**i < last), last)

"""Fine-tuning: a pre-trained encoder becomes a classifier, by the papers' recipes."""

from mimbench.evaluation.finetuning.classifier import classifier
from mimbench.evaluation.finetuning.module import FineTuning
from mimbench.evaluation.finetuning.protocol import FineTune, PartialFineTune
from mimbench.evaluation.finetuning.recipe import FineTuneRecipe

__all__ = ["FineTune", "FineTuneRecipe", "FineTuning", "PartialFineTune", "classifier"]

"""Fine-tuning of a pre-trained encoder as a classifier with published recipes."""

from mimbench.evaluation.finetuning.classifier import classifier
from mimbench.evaluation.finetuning.module import FineTuning
from mimbench.evaluation.finetuning.protocol import FineTune, PartialFineTune
from mimbench.evaluation.finetuning.recipe import FineTuneRecipe

__all__ = ["FineTune", "FineTuneRecipe", "FineTuning", "PartialFineTune", "classifier"]

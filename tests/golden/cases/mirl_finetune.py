"""MIRL's released fine-tuning model, from Paddle."""

from cases.finetune import MAEFinetuneCase
from mimbench.weights import MIRL_FINETUNE_FORMAT


class MIRLFinetuneCase(MAEFinetuneCase):
    """`VisionTransformer` of russellllaputa/MIRL: MAE's, with linear weights as [in, out]."""

    source = ("russellllaputa/MIRL", "models_vit.py")
    format = MIRL_FINETUNE_FORMAT
    linear_in_out = True


CASE = MIRLFinetuneCase

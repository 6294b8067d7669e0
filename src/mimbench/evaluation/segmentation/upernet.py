"""Segmentation by fine-tuning an encoder with UPerNet."""

from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from mimbench.core import mix
from mimbench.data.annotated import annotated
from mimbench.evaluation.base import Subject
from mimbench.evaluation.dense.groups import dense_groups
from mimbench.evaluation.dense.pyramid import Pyramid
from mimbench.evaluation.dense.resizing import AnySize
from mimbench.evaluation.finetuning.classifier import set_drop_path
from mimbench.evaluation.finetuning.fitting import folder, forget
from mimbench.evaluation.recipe_protocol import RecipeProtocol
from mimbench.evaluation.segmentation.data import SegmentationData
from mimbench.evaluation.segmentation.fitting import segment
from mimbench.evaluation.segmentation.heads import UPerNet
from mimbench.evaluation.segmentation.module import Segmentation
from mimbench.evaluation.segmentation.recipe import SegmentRecipe


@dataclass
class SegmentUPerNet(RecipeProtocol):
    """segment-upernet-<recipe>: UPerNet on the encoder, trained end to end.

    Features: four levels, see `Pyramid`. Head: UPerNet with an auxiliary head on the third level, see `UPerNet`.
    Augmentation: scaling by 0.5 to 2, crop of `size` with at most 75 % of one class, horizontal flips where the data
        allows it, photometric distortion.
    Optimizer: AdamW with rates by layer, see `layer_groups`; linear warm-up and linear decay to 0, as the recipe
        defines.
    Grid: none. Selection: none; the weights after the last step are evaluated.
    Read once, after the last step: "test", as in `SegmentLinear`; the main result is `miou`.
    """

    task = "segment-upernet"

    recipe: SegmentRecipe = field(default_factory=SegmentRecipe)
    published: SegmentRecipe = field(default_factory=SegmentRecipe, metadata={"card": False})

    def check(self, datamodule: Any) -> None:
        annotated(datamodule.split("train"), "classes", "train")

    def __call__(self, subject: Subject) -> dict[str, Any]:
        recipe = self.recipe
        size = subject.datamodule.image_size if recipe.size is None else recipe.size
        data = SegmentationData(subject.datamodule, size, recipe.batch_size, recipe.photometric, self.seed)
        directory = folder(subject, recipe, self.seed)
        model = network(subject, recipe, len(data.class_names), self.seed, self.grad_checkpointing)
        steps = recipe.steps, recipe.warmup_steps
        training = Segmentation(model, groups(model, recipe), *steps, recipe.betas, self.seed)
        result = segment(subject, training, data, directory)
        forget(directory)
        return result | {"recipe": asdict(recipe) | {"depths": list(model.pyramid.depths)}}


def network(
    subject: Subject, recipe: SegmentRecipe, num_classes: int, seed: int, checkpointing: bool = False
) -> UPerNet:
    """UPerNet on the encoder of `subject`, which is changed in place; new weights are drawn from `seed`."""
    set_drop_path(subject.encoder.trunk, recipe.drop_path)
    with torch.random.fork_rng(devices=[]):  # PyTorch initializes layers with its default generator
        torch.default_generator.manual_seed(mix(seed))
        pyramid = Pyramid(AnySize(subject.encoder, checkpointing=checkpointing), recipe.depths)
        return UPerNet(pyramid, num_classes, recipe.channels)


def groups(model: UPerNet, recipe: SegmentRecipe) -> list[dict[str, Any]]:
    """Parameter groups of UPerNet; see `dense_groups`."""
    trunk = model.pyramid.encoder.trunk
    return dense_groups(model, trunk, recipe.lr, recipe.weight_decay, recipe.layer_decay)

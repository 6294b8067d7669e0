"""Detection and instance segmentation as a protocol."""

from dataclasses import asdict, dataclass, field
from typing import Any

from mimbench.data.annotated import annotated
from mimbench.evaluation.base import Subject
from mimbench.evaluation.detection.fitting import train_detector
from mimbench.evaluation.detection.recipe import DetectionRecipe
from mimbench.evaluation.finetuning.fitting import folder, forget
from mimbench.evaluation.recipe_protocol import RecipeProtocol


@dataclass
class DetectViTDet(RecipeProtocol):
    """detect-<recipe>: Mask R-CNN on the encoder, all of it trained unless the recipe freezes the encoder.

    Features: ViT: the last block, after the trunk's norm, with attention in windows but for a few blocks, and ViTDet's
        simple pyramid; Swin: all stages, normed anew, and FPN. Head: torchvision's RPN, box and mask heads.
    Augmentation, optimizer, schedule: the recipe's; see `DetectionRecipe`, `jittered` and `DetectionTraining`.
        Crowds are left out of training.
    Grid: none. Selection: none; the weights after the last epoch count.
    Read once, after the last epoch: "test". Precision: pycocotools; the main number is `ap_box`.
    """

    task = "detect"

    recipe: DetectionRecipe = field(default_factory=DetectionRecipe)
    published: DetectionRecipe = field(default_factory=DetectionRecipe, metadata={"card": False})

    def check(self, datamodule: Any) -> None:
        annotated(datamodule.split("train"), "objects", "train")

    def __call__(self, subject: Subject) -> dict[str, Any]:
        directory = folder(subject, self.recipe, self.seed)
        result = train_detector(subject, self.recipe, self.seed, directory, self.grad_checkpointing)
        forget(directory)
        return result | {"recipe": asdict(self.recipe)}

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
    """detect-<recipe>: Mask R-CNN on the encoder; all parts are trained unless the recipe freezes the encoder.

    Features: ViT: the last block after the trunk's norm, with window attention in all but a few blocks, and ViTDet's
        simple pyramid; Swin: all stages with new norms, and FPN. Head: torchvision's RPN, box and mask heads.
    Augmentation, optimizer, schedule: those of the recipe; see `DetectionRecipe`, `jittered` and `DetectionTraining`.
        Crowds are not used in training.
    Grid: none. Selection: none; the weights after the last epoch are evaluated.
    Read once, after the last epoch: "test". Precision: pycocotools; the main result is `ap_box`.
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

"""Detection and instance segmentation as a protocol."""

from dataclasses import asdict, dataclass, field
from typing import Any

from mimbench.evaluation.base import ImageProtocol, Subject
from mimbench.evaluation.detection.fitting import train_detector
from mimbench.evaluation.detection.recipe import DetectionRecipe
from mimbench.evaluation.finetuning.fitting import folder, forget


@dataclass
class DetectViTDet(ImageProtocol):
    """detect-<recipe>: Mask R-CNN on the encoder, all of it trained.

    Features: ViT: the last block, after the trunk's norm, with attention in windows but for a few blocks, and ViTDet's
        simple pyramid; Swin: all stages, normed anew, and FPN. Head: torchvision's RPN, box and mask heads.
    Augmentation, optimiser, schedule: the recipe's; see `DetectionRecipe`, `jittered` and `DetectionTraining`.
        Crowds are left out of training.
    Grid: none. Selection: none; the weights after the last epoch count.
    Read once, after the last epoch: "test". Precision: pycocotools; the main number is `ap_box`.

    Attributes:
        recipe: How to train.
        published: The recipe that its name stands for; where `recipe` differs, the label says so.
        seed: Of what is new, the order of images and all random draws.
        grad_checkpointing: Less memory, about a third more time.
    """

    recipe: DetectionRecipe = field(default_factory=DetectionRecipe)
    published: DetectionRecipe = field(default_factory=DetectionRecipe, metadata={"card": False})
    seed: int = 0
    grad_checkpointing: bool = field(default=False, metadata={"card": False})

    @property
    def name(self) -> str:
        return f"detect-{self.recipe.name}"

    def card(self) -> "DetectViTDet":
        return type(self)(recipe=self.published, published=self.published)

    def deviations(self) -> dict[str, Any]:
        found = super().deviations()
        if found.pop("recipe", None) is not None:
            theirs = asdict(self.published)
            found |= {name: value for name, value in asdict(self.recipe).items() if value != theirs[name]}
        return found

    def __call__(self, subject: Subject) -> dict[str, Any]:
        directory = folder(subject, self.recipe, self.seed)
        result = train_detector(subject, self.recipe, self.seed, directory, self.grad_checkpointing)
        forget(directory)
        return result | {"recipe": asdict(self.recipe)}

"""Features of a frozen teacher network as targets."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any

import timm
import torch
import torch.nn.functional as F
from jaxtyping import Float
from timm.data import infer_imagenet_subset  # pyright: ignore[reportPrivateImportUsage]
from torch import Tensor, nn

from mimbench.core import IMAGENET_MEAN, IMAGENET_STD, Mask
from mimbench.targets.base import Target


class Teacher(nn.Module, ABC):
    """A network whose patch features are predicted.

    Attributes:
        cell: Side in pixels of the image area that one feature covers.
        dim: Channels of a feature.
        mean: Channel means with which the network's input must be normalized.
        std: Channel standard deviations, likewise.
    """

    cell: int
    dim: int
    mean: Sequence[float] = IMAGENET_MEAN
    std: Sequence[float] = IMAGENET_STD

    @abstractmethod
    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b rows columns d"]:
        """Patch features on the network's own grid, without class and register tokens."""


class TimmTeacher(Teacher):
    """A timm ViT by name; patch tokens after its final norm and, for CLIP towers, its projection.

    Args:
        name: Name in timm, for example vit_base_patch16_clip_224.openai.
        image_size: Side of the input images in pixels.
        pretrained: Whether to load timm's weights, which are downloaded or read from the cache.
        projection: Whether to apply the tower's output projection to every patch (DeepMIM's CLIP target).

    Raises:
        ValueError: `projection` is asked of a tower whose last layer classifies, or that has none.
    """

    tower: Any

    def __init__(self, name: str, image_size: int, pretrained: bool = True, projection: bool = False):
        super().__init__()
        extra: dict[str, Any] = {} if projection else {"num_classes": 0}
        self.tower = timm.create_model(name, pretrained=pretrained, img_size=image_size, **extra)
        if projection and (not self.tower.num_classes or infer_imagenet_subset(self.tower)):
            last = f"scores of {self.tower.num_classes:,} classes" if self.tower.num_classes else "no last layer"
            raise ValueError(
                f"The teacher {name} has {last}, and no projection as CLIP has; its features would be lost. Set "
                "target.teacher.projection=false, or take a CLIP tower."
            )
        self.project = self.tower.get_classifier() if projection else nn.Identity()
        self.cell = self.tower.patch_embed.patch_size[0]
        self.dim = self.tower.num_classes if projection else self.tower.num_features
        self.mean = self.tower.pretrained_cfg["mean"]
        self.std = self.tower.pretrained_cfg["std"]

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b rows columns d"]:
        tokens = self.project(self.tower.forward_features(images)[:, self.tower.num_prefix_tokens :])
        return tokens.unflatten(1, self.tower.patch_embed.grid_size)


class TeacherTarget(Target):
    """Patch features of a frozen network that sees the whole image, compared by angle (DeepMIM, section 3.3).

    Args:
        cell: Side of a cell in pixels; features of a teacher with another cell size are resampled.
        teacher: The network; its weights stay frozen.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, cell: int, teacher: Teacher):
        super().__init__()
        self.cell = cell
        self.dim = teacher.dim
        self.teacher = teacher.eval().requires_grad_(False)
        mean, std = (torch.tensor(s).view(3, 1, 1) for s in (IMAGENET_MEAN, IMAGENET_STD))
        teacher_mean, teacher_std = (torch.tensor(s).view(3, 1, 1) for s in (teacher.mean, teacher.std))
        self.register_buffer("scale", std / teacher_std, persistent=False)
        self.register_buffer("shift", (mean - teacher_mean) / teacher_std, persistent=False)

    def train(self, mode: bool = True) -> "TeacherTarget":
        """Keeps the teacher in evaluation mode."""
        return super().train(False)

    @property
    def preparation(self) -> Hashable:
        return id(self.teacher)

    def prepare(self, images: Float[Tensor, "b c h w"], mask: Mask | None = None) -> Float[Tensor, "b d rows columns"]:
        return self.teacher(images * self.scale + self.shift).permute(0, 3, 1, 2)

    def values(self, prepared: Float[Tensor, "b d rows columns"]) -> Float[Tensor, "b n d"]:
        if self.cell != self.teacher.cell:
            grid = [side * self.teacher.cell // self.cell for side in prepared.shape[-2:]]
            prepared = F.interpolate(prepared, grid, mode="area" if self.cell > self.teacher.cell else "bilinear")
        return prepared.flatten(2).transpose(1, 2)

    def error(self, prediction: Float[Tensor, "b n d"], value: Float[Tensor, "b n d"]) -> Float[Tensor, "b n"]:
        """2 - 2 cos, the squared distance of the normalized vectors."""
        return 2 - 2 * F.cosine_similarity(prediction.to(value.dtype), value, dim=-1)

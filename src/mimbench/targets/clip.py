"""Image towers of open_clip as teachers."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mimbench.core.extras import how_to_install
from mimbench.targets.teacher import Teacher


class OpenCLIPTeacher(Teacher):
    """An open_clip image tower by name: patch tokens after its final norm and projection (DeepMIM's CLIP target).

    Args:
        name: Name in open_clip, for example ViT-B-16-quickgelu; OpenAI's weights were trained with the quick GELU.
        image_size: Side of the input images in pixels; position embeddings are interpolated to it.
        pretrained: Tag of open_clip's weights, which are downloaded or read from the cache; None or False for random
            weights.
        projection: Whether to apply the tower's output projection to every patch.

    Raises:
        ValueError: open_clip is not installed, has no such model or weights, or the tower is not a plain ViT.
    """

    tower: Any

    def __init__(self, name: str, image_size: int, pretrained: str | bool | None = "openai", projection: bool = True):
        super().__init__()
        self.tower = _open_clip_tower(name, image_size, pretrained)
        self.projection = projection
        self.cell = self.tower.patch_size[0]
        width, dim = self.tower.proj.shape
        self.dim = dim if projection else width
        self.mean, self.std = self.tower.image_mean, self.tower.image_std

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b rows columns d"]:
        _, tokens = self.tower(images)
        if self.projection:
            tokens = tokens @ self.tower.proj
        return tokens.unflatten(1, self.tower.grid_size)


def _open_clip_tower(name: str, image_size: int, pretrained: str | bool | None) -> Any:
    try:
        import open_clip
    except ImportError:
        raise ValueError(f"OpenCLIPTeacher needs open_clip: {how_to_install('hub')}.") from None
    if name not in (known := open_clip.list_models()):
        near = ", ".join(get_close_matches(name, known, 3)) or "see open_clip.list_models()"
        raise ValueError(f"open_clip has no model '{name}'. Similar: {near}.")
    if pretrained and pretrained not in (tags := open_clip.list_pretrained_tags_by_model(name)):
        raise ValueError(f"open_clip has no weights '{pretrained}' of {name}; choose from {', '.join(tags)}, or null.")
    tag, device = str(pretrained) if pretrained else None, torch.get_default_device()
    try:
        with _silence_logging():  # open_clip warns about random weights, which are intended here
            model = open_clip.create_model(name, tag, device=device, force_image_size=image_size)
    except (RuntimeError, OSError) as error:
        raise ValueError(
            f"open_clip cannot download the weights '{tag}' of {name}; connect to the internet once, or copy them into "
            "open_clip's cache."
        ) from error
    tower: Any = model.visual
    if not _is_plain_vit(tower):
        raise ValueError(
            f"The image tower of '{name}' is not a plain ViT with class token and projection; try ViT-B-16."
        )
    if image_size % tower.patch_size[0]:
        raise ValueError(f"The tower's patches of {tower.patch_size[0]} px do not divide an image of {image_size} px.")
    tower.output_tokens = True
    return tower


def _is_plain_vit(tower: Any) -> bool:
    from open_clip.transformer import VisionTransformer

    if not isinstance(tower, VisionTransformer):
        return False
    after_norm = tower.attn_pool is None and not tower.final_ln_after_pool
    return after_norm and tower.pool_type == "tok" and tower.proj is not None


@contextmanager
def _silence_logging() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)

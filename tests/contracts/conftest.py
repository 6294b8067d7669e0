"""Small encoders of every kind, and all methods on them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from mimbench.encoders import Encoder, ViTEncoder, vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE, MFF, MIRL, CrossMAE, DeepMIM, LocalMIM, MaskFeat, Method, SimMIM
from mimbench.targets import HOGTarget, PixelTarget, Teacher, TeacherTarget

SIZE, PATCH, BATCH = 32, 8, 3


class ConvTeacher(Teacher):
    """A teacher of one random convolution."""

    def __init__(self, cell: int = 8, dim: int = 10):
        super().__init__()
        self.cell, self.dim = cell, dim
        self.features = torch.nn.Conv2d(3, dim, cell, cell)

    def forward(self, images: Tensor) -> Tensor:
        return self.features(images).permute(0, 2, 3, 1)


def timm_trunk(**changes: Any) -> VisionTransformer:
    sizes = {"img_size": SIZE, "patch_size": PATCH, "embed_dim": 24, "depth": 4, "num_heads": 2, "num_classes": 0}
    return VisionTransformer(**(sizes | changes))


TRUNKS: dict[str, Callable[[], VisionTransformer]] = {
    "paper": lambda: vit(SIZE, PATCH, 24, 4, 2).trunk,
    "paper_registers": lambda: vit(SIZE, PATCH, 24, 4, 2, num_registers=2).trunk,
    "learned_positions": timm_trunk,
    "no_prefix": partial(timm_trunk, class_token=False, global_pool="avg"),
    "no_embed_class": partial(timm_trunk, no_embed_class=True, reg_tokens=2),
    "norm_pre": partial(timm_trunk, pre_norm=True),
    "no_positions": partial(timm_trunk, pos_embed="none"),
    "layer_scale": partial(timm_trunk, init_values=0.1, qk_norm=True),
}

METHODS: dict[str, Callable[[Encoder], Method]] = {
    "mae_pixel": lambda e: MAE(e, RandomMasker(), PixelTarget, 16, 1, 2),
    "mae_raw_pixel": lambda e: MAE(e, RandomMasker(), partial(PixelTarget, normalize=False), 16, 1, 2),
    "deepmim_pixel": lambda e: DeepMIM(e, RandomMasker(), PixelTarget, None, 16, 1, 2),
    "deepmim_teacher": lambda e: DeepMIM(
        e, RandomMasker(), partial(TeacherTarget, teacher=ConvTeacher()), None, 16, 1, 2
    ),
    "localmim_hog": lambda e: LocalMIM(e, RandomMasker(), HOGTarget, None, None, 16, 1, 2),
    "localmim_hog_bias": lambda e: LocalMIM(
        e, RandomMasker(), partial(HOGTarget, bins=18, bias=True), None, None, 16, 1, 2
    ),
    "localmim_pixel": lambda e: LocalMIM(e, RandomMasker(), PixelTarget, None, None, 16, 1, 2),
    "mirl": lambda e: MIRL(e, RandomMasker(), PixelTarget, None, 16, 1, 2),
    "mirl_plain_heads": lambda e: MIRL(e, RandomMasker(), PixelTarget, None, 16, 1, 2, unit_head=False),
    "mirl_no_cross": lambda e: MIRL(e, RandomMasker(), PixelTarget, None, 16, 1, 2, pairing="sum", cross=False),
    "mae_encode_hidden": lambda e: MAE(e, RandomMasker(), PixelTarget, 16, 1, 2, encode_hidden=True),
    "simmim": lambda e: SimMIM(e, RandomMasker(), partial(PixelTarget, normalize=False, absolute=True)),
    "maskfeat": lambda e: MaskFeat(e, RandomMasker(), HOGTarget),
    "mff": lambda e: MFF(e, RandomMasker(), PixelTarget, None, 16, 1, 2),
    "mff_hog": lambda e: MFF(e, RandomMasker(), HOGTarget, None, 16, 1, 2),
    "crossmae": lambda e: CrossMAE(e, RandomMasker(), PixelTarget, None, 16, 2, 2),
    "crossmae_teacher": lambda e: CrossMAE(
        e, RandomMasker(), partial(TeacherTarget, teacher=ConvTeacher()), (1, 3, 4), 16, 2, 2, predicted_ratio=0.75
    ),
    "crossmae_no_mixture": lambda e: CrossMAE(e, RandomMasker(), PixelTarget, None, 16, 2, 2, mixture=False),
}


@pytest.fixture(params=TRUNKS)
def trunk(request: pytest.FixtureRequest) -> VisionTransformer:
    torch.manual_seed(0)
    return TRUNKS[request.param]()


@pytest.fixture
def encoder(trunk: VisionTransformer) -> ViTEncoder:
    return ViTEncoder(trunk)


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest, encoder: ViTEncoder) -> Method:
    return METHODS[request.param](encoder)


@pytest.fixture(params=METHODS)
def paper_method(request: pytest.FixtureRequest) -> Method:
    """Every method on one encoder, for properties that do not depend on the encoder."""
    torch.manual_seed(0)
    return METHODS[request.param](ViTEncoder(TRUNKS["paper"]()))


@pytest.fixture
def images() -> Tensor:
    return torch.randn(BATCH, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))

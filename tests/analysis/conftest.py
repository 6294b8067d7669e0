"""A tiny ViT and its images."""

import pytest
import torch
from torch import Tensor

from mimbench.encoders import ViTEncoder, vit


@pytest.fixture
def encoder() -> ViTEncoder:
    torch.manual_seed(0)
    return vit(16, 4, 24, 4, 2).eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))

"""Patch embedding of the visible patches."""

import pytest
import torch
from timm.layers import LayerNorm, PatchEmbed
from torch import Tensor

from mimbench.encoders.patches import embed_visible

INDEX = torch.tensor([[0, 5, 7], [2, 3, 4]])  # on a grid of 2 rows and 4 columns


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 3, 8, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def stem() -> PatchEmbed:
    return PatchEmbed((8, 32), (4, 8), 3, 16, norm_layer=LayerNorm).double()


def select(patches: Tensor) -> Tensor:
    return torch.stack([row[index] for row, index in zip(patches, INDEX, strict=True)])


def test_visible_patches_are_embedded_as_in_timm(images: Tensor, stem: PatchEmbed):
    found = embed_visible(stem, images, INDEX)
    torch.testing.assert_close(found, select(stem(images)), rtol=0, atol=1e-14)


def test_gradients_equal_those_of_timm(images: Tensor, stem: PatchEmbed):
    embed_visible(stem, images, INDEX).square().sum().backward()
    found = [parameter.grad for parameter in stem.parameters()]
    stem.zero_grad()
    select(stem(images)).square().sum().backward()
    torch.testing.assert_close(found, [parameter.grad for parameter in stem.parameters()])


def test_hidden_pixels_are_not_read(images: Tensor, stem: PatchEmbed):
    images[0, :, :4, 8:] = torch.nan  # patches 1 to 3 of the first image
    assert embed_visible(stem, images, INDEX).isfinite().all()


def test_other_embeddings_are_computed_for_all_patches(images: Tensor):
    class Doubled(PatchEmbed):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    stem = Doubled((8, 32), (4, 8), 3, 16).double()
    assert torch.equal(embed_visible(stem, images, INDEX), select(stem(images)))


def test_another_image_size_is_refused_by_timm(images: Tensor, stem: PatchEmbed):
    with pytest.raises(AssertionError, match="32"):
        embed_visible(stem, images[..., :16], INDEX)

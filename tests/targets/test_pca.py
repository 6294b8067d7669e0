"""Principal components of patches."""

import pytest
import torch

from mimbench.targets import PCATarget
from mimbench.targets.pixel import patchify


@pytest.fixture
def images() -> torch.Tensor:
    mixing = torch.randn(48, 48, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    patches = torch.randn(40 * 4, 48, generator=torch.Generator().manual_seed(1), dtype=torch.float64) @ mixing + 3
    blocks = patches.reshape(40, 2, 2, 4, 4, 3).permute(0, 5, 1, 3, 2, 4)
    return blocks.reshape(40, 3, 8, 8)


def test_values_are_uncorrelated_centered_and_of_descending_variance(images: torch.Tensor) -> None:
    values = PCATarget(4, images, 48)(images).flatten(0, 1)
    torch.testing.assert_close(values.mean(0), torch.zeros_like(values[0]), rtol=0, atol=1e-10)
    covariance = values.T @ values
    variances = covariance.diag()
    assert torch.equal(variances, variances.sort(descending=True).values)
    torch.testing.assert_close(covariance, variances.diag(), rtol=0, atol=1e-8 * float(variances[0]))


def test_few_components_have_the_smallest_possible_error(images: torch.Tensor) -> None:
    target = PCATarget(4, images, 10)
    error = (target.to_image(target(images), images) - images).square().sum()
    patches = patchify(images, 4).flatten(0, 1)
    singular = torch.linalg.svdvals(patches - patches.mean(0))
    torch.testing.assert_close(error, singular[10:].square().sum())


def test_all_components_reconstruct_the_image(images: torch.Tensor) -> None:
    target = PCATarget(4, images, 48)
    torch.testing.assert_close(target.to_image(target(images), images), images)


def test_components_are_part_of_the_state(images: torch.Tensor) -> None:
    target, other = PCATarget(4, images, 5), PCATarget(4, images.flip(0) ** 2, 5)
    assert not torch.allclose(target(images), other(images))
    other.load_state_dict(target.state_dict())
    assert torch.equal(target(images), other(images))


def test_more_components_than_values_of_a_cell_are_refused(images: torch.Tensor) -> None:
    with pytest.raises(
        ValueError, match=r"has 48 components, got target.num_components=96; set it to a number from 1 to 48"
    ):
        PCATarget(4, images)

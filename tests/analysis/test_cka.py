"""CKA against NumPy and against what must hold."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mimbench.analysis import cka_matrix, linear_cka


def features(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def rotation(d: int) -> Tensor:
    return torch.linalg.qr(features(d, d, 9).double())[0].float()


def biased_cka(x: np.ndarray, y: np.ndarray) -> float:
    """Kornblith et al. 2019, the form with cross-covariances."""
    x, y = x - x.mean(0), y - y.mean(0)
    return float(np.linalg.norm(x.T @ y) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)))


def song_hsic(x: np.ndarray, y: np.ndarray) -> float:
    """Song et al. 2012, eq. 5, on linear kernels."""
    n = len(x)
    k, m = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(m, 0)
    product = k @ m
    return float(np.trace(product) + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * product.sum()) / (
        n * (n - 3)
    )


def test_biased_cka_is_that_of_the_paper():
    x, y = features(30, 7), features(30, 11, 1) + 0.5 * features(30, 7)[:, :1]
    expected = biased_cka(x.double().numpy(), y.double().numpy())
    assert linear_cka(x, y, unbiased=False) == pytest.approx(expected, rel=1e-9)


def test_unbiased_cka_is_made_of_songs_estimator():
    x, y = features(30, 7) + 3, features(30, 11, 1) + 0.5 * features(30, 7)[:, :1]
    a, b = x.double().numpy(), y.double().numpy()
    expected = song_hsic(a, b) / np.sqrt(song_hsic(a, a) * song_hsic(b, b))
    assert linear_cka(x, y) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("unbiased", [True, False])
def test_cka_is_one_up_to_rotation_scale_and_shift(unbiased: bool):
    x = features(40, 8)
    assert linear_cka(x, x, unbiased) == pytest.approx(1, abs=1e-12)
    assert linear_cka(x, 7 * x @ rotation(8) + 2, unbiased) == pytest.approx(1, abs=1e-5)  # x rotates in fp32


@pytest.mark.parametrize("unbiased", [True, False])
def test_cka_changes_under_an_invertible_map_that_is_no_rotation(unbiased: bool):
    x = features(40, 8)
    assert linear_cka(x, x * torch.logspace(0, 3, 8), unbiased) < 0.7


def test_unrelated_wide_features_are_similar_for_the_biased_estimator_alone():
    x, y = features(16, 500), features(16, 500, 1)
    assert linear_cka(x, y, unbiased=False) > 0.9
    assert abs(linear_cka(x, y)) < 0.1


def test_matrix_has_a_row_per_representation_and_ones_where_they_are_the_same():
    xs, ys = [features(20, d, d) for d in (3, 5)], [features(20, d, d) for d in (5, 4, 3)]
    matrix = cka_matrix(xs, ys)
    assert matrix.shape == (2, 3)
    assert [float(matrix[0, 2]), float(matrix[1, 0])] == pytest.approx([1, 1])
    assert float(matrix[0, 1]) == pytest.approx(linear_cka(xs[0], ys[1]))
    torch.testing.assert_close(cka_matrix(xs), cka_matrix(xs, xs))


@pytest.mark.parametrize(("n", "m"), [(3, 3), (8, 9)])
def test_too_few_or_different_images_are_refused(n: int, m: int):
    with pytest.raises(ValueError, match="at least 4"):
        cka_matrix([features(n, 2)], [features(m, 2)])

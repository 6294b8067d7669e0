"""Spectra and effective ranks that are known."""

import numpy as np
import pytest
import torch

from mimbench.analysis import rankme, singular_values


def test_singular_values_are_numpys():
    x = torch.randn(12, 20, generator=torch.Generator().manual_seed(0))
    expected = np.linalg.svd(x.double().numpy(), compute_uv=False)
    np.testing.assert_allclose(singular_values(x).numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_rank_of_equally_used_directions_is_their_number(rank: int):
    spectrum = torch.zeros(8, dtype=torch.float64)
    spectrum[:rank] = 5
    assert rankme(spectrum) == pytest.approx(rank, rel=1e-4)  # eps moves it


def test_rank_is_the_papers_formula():
    spectrum = np.array([4.0, 2.0, 1.0, 0.5])
    shares = spectrum / spectrum.sum() + 1e-7
    expected = np.exp(-(shares * np.log(shares)).sum())
    assert rankme(torch.from_numpy(spectrum)) == pytest.approx(expected, rel=1e-12)
    assert 1 < expected < 4


def test_rank_of_features_does_not_depend_on_scale_or_rotation():
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(50, 6, generator=draws, dtype=torch.float64) * torch.tensor([8, 4, 2, 1, 0.5, 0.1])
    turn = torch.linalg.qr(torch.randn(6, 6, generator=draws, dtype=torch.float64))[0]
    assert rankme(singular_values(3 * x @ turn)) == pytest.approx(rankme(singular_values(x)), rel=1e-9)

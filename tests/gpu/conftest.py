"""Tests that compute on a GPU."""

import pytest
import torch


@pytest.fixture
def device(pytestconfig: pytest.Config) -> torch.device:
    return torch.device(pytestconfig.getoption("device") or "cuda")

"""Recipes that cannot be meant are refused."""

from typing import Any

import pytest

from mimbench.evaluation import FineTuneRecipe


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": None}, "needs a recipe"),
        ({"lr": 1e-3}, "the other to null"),
        ({"base_lr": None}, "the other to null"),
        ({"epochs": 0}, "at least 1"),
        ({"batch_size": 0}, "at least 1"),
        ({"pooling": "max"}, "one of"),
        ({"layer_decay": 0.0}, "layer_decay must lie"),
        ({"layer_decay": 1.5}, "layer_decay must lie"),
        ({"drop_path": 1.0}, "drop_path must lie"),
        ({"drop_path": -0.1}, "drop_path must lie"),
        ({"ema": 1.5}, "ema must lie"),
        ({"label_smoothing": 1.0}, "label_smoothing must lie"),
        ({"random_erasing": 1.1}, "random_erasing must lie"),
        ({"mixup": -1.0}, "mixup must not be negative"),
        ({"randaugment": "strong"}, "expected timm's notation"),
        ({"randaugment": "rand-x9"}, "expected timm's notation"),
        ({"crop_scale": (0.5, 0.1)}, "crop_scale"),
    ],
)
def test_nonsense_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FineTuneRecipe(**wrong)


def test_lists_of_a_configuration_become_tuples() -> None:
    recipe = FineTuneRecipe(betas=[0.9, 0.999], crop_scale=[0.08, 1.0])
    assert recipe == FineTuneRecipe()
    assert hash(recipe) == hash(FineTuneRecipe())


def test_the_rate_is_per_256_images_or_itself() -> None:
    assert FineTuneRecipe(base_lr=5e-4, batch_size=1024).peak_lr == pytest.approx(2e-3)
    assert FineTuneRecipe(base_lr=None, lr=4e-3, batch_size=1024).peak_lr == 4e-3
    assert FineTuneRecipe(base_lr=None, lr=0.0).peak_lr == 0.0

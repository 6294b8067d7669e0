"""The schedule agrees with MAE's released rule."""

import math

import pytest
import torch

from mimbench.optim import Recipe, warmup_cosine


def released_lr(epoch: float, lr: float, min_lr: float, warmup_epochs: float, epochs: float) -> float:
    """Learning rate at a fractional epoch, which MAE sets before every step."""
    if epoch < warmup_epochs:
        return lr * epoch / warmup_epochs
    done = (epoch - warmup_epochs) / (epochs - warmup_epochs)
    return min_lr + (lr - min_lr) * (1 + math.cos(math.pi * done)) / 2


def rates(recipe: Recipe, batch_size: int, total: int, steps_per_epoch: int) -> list[float]:
    optimizer = recipe.optimizer(torch.nn.Linear(2, 2), batch_size)
    scheduler = recipe.scheduler(optimizer, total, steps_per_epoch)
    values = []
    for _ in range(total):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return [*values, optimizer.param_groups[0]["lr"]]


@pytest.mark.parametrize("min_lr", [0.0, 1e-5])
@pytest.mark.parametrize("warmup_epochs", [0, 2, 1.3, 5])
@pytest.mark.parametrize("steps_per_epoch", [1, 7])
def test_every_step_has_the_released_rate_of_its_fractional_epoch(
    min_lr: float, warmup_epochs: int | float, steps_per_epoch: int
) -> None:
    recipe = Recipe(base_lr=1e-3, warmup_epochs=warmup_epochs, min_lr=min_lr)
    ours = rates(recipe, batch_size=512, total=6 * steps_per_epoch, steps_per_epoch=steps_per_epoch)
    theirs = [
        released_lr(step / steps_per_epoch, 2e-3, min_lr, warmup_epochs, 6) for step in range(6 * steps_per_epoch + 1)
    ]
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-18)


def test_warm_up_starts_at_zero_and_the_schedule_ends_at_the_absolute_minimum() -> None:
    values = rates(Recipe(base_lr=1e-3, warmup_epochs=1, min_lr=1e-4), batch_size=64, total=10, steps_per_epoch=4)
    assert values[0] == 0
    assert max(values) == values[4] == pytest.approx(1e-3 * 64 / 256)
    assert values[-1] == pytest.approx(1e-4)


def test_warm_up_longer_than_the_run_never_reaches_the_peak_and_never_fails() -> None:
    values = rates(Recipe(base_lr=1.0, warmup_epochs=40), batch_size=256, total=5, steps_per_epoch=10)
    assert values[:5] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])


def test_the_rate_stays_at_its_floor_after_the_end() -> None:
    assert warmup_cosine(25, total=20, warmup=5, floor=0.25) == 0.25


def test_a_base_rate_of_zero_gives_zero_rates() -> None:
    assert rates(Recipe(base_lr=0.0, min_lr=1e-6), batch_size=256, total=3, steps_per_epoch=1) == [0, 0, 0, 0]


@pytest.mark.parametrize(("batch_size", "factor"), [(256, 1), (4096, 16), (64, 0.25)])
def test_the_peak_follows_the_effective_batch(batch_size: int, factor: float) -> None:
    assert Recipe(base_lr=1.5e-4).peak_lr(batch_size) == pytest.approx(1.5e-4 * factor)

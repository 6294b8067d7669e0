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


def test_warm_up_can_start_above_zero_and_rates_drop_at_milestones() -> None:
    recipe = Recipe(base_lr=1e-3, warmup_epochs=2, start_lr=1e-4, milestones=[4, 5])
    values = rates(recipe, batch_size=256, total=12, steps_per_epoch=2)
    # timm's rule in SimMIM's released code: start + t (peak - start) / warm-up, then peak * 0.1 ** passed milestones.
    assert values == pytest.approx([1e-4, 3.25e-4, 5.5e-4, 7.75e-4] + [1e-3] * 4 + [1e-4] * 2 + [1e-5] * 3)


def test_a_cosine_after_a_warm_up_from_above_zero() -> None:
    values = rates(Recipe(base_lr=1e-3, warmup_epochs=1, start_lr=2e-4), batch_size=256, total=6, steps_per_epoch=2)
    assert values[:3] == pytest.approx([2e-4, 6e-4, 1e-3])
    assert values[4] == pytest.approx(5e-4)


def released_jepa(total: int, warmup: int) -> list[tuple[float, float]]:
    """Rates and decays of I-JEPA's released schedules, which step before the optimizer does."""
    found = []
    for step in range(1, total + 1):
        done = (step - warmup) / (total - warmup)
        warm = 2e-4 + step / warmup * (1e-3 - 2e-4)
        cosine = 1e-6 + (1e-3 - 1e-6) * 0.5 * (1 + math.cos(math.pi * done))
        decay = 0.4 + (0.04 - 0.4) * 0.5 * (1 + math.cos(math.pi * step / total))
        found.append((warm if step < warmup else max(1e-6, cosine), min(0.4, decay)))
    return found


def test_the_weight_decay_follows_a_cosine_one_step_ahead_as_in_ijepa() -> None:
    recipe = Recipe(
        base_lr=1e-3,
        warmup_epochs=2,
        start_lr=2e-4,
        min_lr=1e-6,
        weight_decay=0.04,
        final_weight_decay=0.4,
        ahead=True,
    )
    optimizer = recipe.optimizer(torch.nn.Linear(2, 2), 256)
    scheduler = recipe.scheduler(optimizer, 20, 4)
    ours = []
    for _ in range(20):
        ours.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["weight_decay"]))
        assert optimizer.param_groups[1]["weight_decay"] == 0
        optimizer.step()
        scheduler.step()
    for mine, theirs in zip(ours, released_jepa(20, 8), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-9)


def test_a_schedule_of_the_decay_can_be_stored_and_resumed() -> None:
    def schedule(steps: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        recipe = Recipe(base_lr=1e-3, warmup_epochs=1, final_weight_decay=0.4)
        optimizer = recipe.optimizer(torch.nn.Linear(2, 2), 256)
        scheduler = recipe.scheduler(optimizer, 10, 2)
        for _ in range(steps):
            optimizer.step()
            scheduler.step()
        return optimizer, scheduler

    whole, _ = schedule(7)
    stored, stopped = schedule(4)
    resumed, continued = schedule(0)
    resumed.load_state_dict(stored.state_dict())
    continued.load_state_dict(stopped.state_dict())
    for _ in range(3):
        resumed.step()
        continued.step()
    for key in ("lr", "weight_decay"):
        assert [group[key] for group in resumed.param_groups] == [group[key] for group in whole.param_groups]


@pytest.mark.parametrize("milestones", [[5, 3], [0]])
def test_milestones_that_do_not_ascend_are_refused(milestones: list[int]) -> None:
    with pytest.raises(ValueError, match=r"optim\.milestones is .*; it must be a list of epochs in ascending order"):
        Recipe(milestones=milestones)

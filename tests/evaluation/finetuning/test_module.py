"""Every option of a recipe changes what it says it changes."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from timm.loss import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from timm.utils import ModelEmaV3
from torch import Tensor

from mimbench.data import Batch, ImageDataModule
from mimbench.encoders import vit
from mimbench.evaluation import FineTuneRecipe
from mimbench.evaluation.finetuning import FineTuning, classifier
from mimbench.evaluation.finetuning.data import FineTuneData
from mimbench.evaluation.finetuning.module import mixing

PLAIN = FineTuneRecipe(
    name="plain",
    epochs=3,
    batch_size=16,
    base_lr=1e-2,
    warmup_epochs=1,
    label_smoothing=0.0,
    mixup=0.0,
    cutmix=0.0,
    randaugment=None,
    random_erasing=0.0,
    drop_path=0.0,
)


def make(recipe: FineTuneRecipe = PLAIN, seed: int = 0) -> FineTuning:
    torch.manual_seed(0)
    encoder = vit(image_size=16, patch_size=8, width=32, depth=3, num_heads=2)
    model = classifier(encoder, 4, recipe.pooling, recipe.drop_path, generator=torch.Generator().manual_seed(0))
    torch.nn.init.normal_(model.head.weight)
    return FineTuning(model, recipe, 4, seed)


def batch(size: int = 8) -> Batch:
    images = torch.randn(size, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    return Batch(images, torch.arange(size) % 4, torch.arange(size))


def step(training: FineTuning, number: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Loss of a training step, and what the model and the loss saw."""
    training.log = lambda *_, **__: None  # type: ignore[method-assign]
    seen: list[Tensor] = []
    hooks = [
        training.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])),
        training.criterion.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1])),
    ]
    loss = training.train().training_step(batch(), number)
    for hook in hooks:
        hook.remove()
    return loss, seen[0], seen[1]


def test_plain_training_is_cross_entropy_on_untouched_images() -> None:
    training = make()
    loss, images, targets = step(training)
    assert torch.equal(images, batch().images)
    assert torch.equal(targets, batch().labels)
    assert torch.equal(loss, F.cross_entropy(training.model(images), targets))


def test_mixup_mixes_the_batch_with_its_reverse() -> None:
    loss, images, targets = step(make(replace(PLAIN, mixup=0.8)))
    share = targets[0, 0]
    assert 0 < share < 1
    torch.testing.assert_close(images, share * batch().images + (1 - share) * batch().images.flip(0))
    one_hot = F.one_hot(batch().labels, 4).float()
    torch.testing.assert_close(targets, share * one_hot + (1 - share) * one_hot.flip(0))
    assert loss.isfinite()


def test_cutmix_replaces_a_rectangle() -> None:
    boxes = 0
    for number in range(6):
        _, images, targets = step(make(replace(PLAIN, cutmix=1.0)), number)
        foreign = (images != batch().images).all(1)
        assert torch.equal(images[:, :, foreign[0]], batch().images.flip(0)[:, :, foreign[0]])
        assert (1 - targets[0, 0]).item() == pytest.approx(foreign[0].float().mean().item(), abs=1e-6)
        boxes += bool(0 < foreign[0].sum() < 256)
    assert boxes


def test_with_both_some_batches_are_mixed_and_some_cut() -> None:
    training = make(replace(PLAIN, mixup=0.8, cutmix=1.0))
    cut = [(step(training, number)[1] == batch().images).any().item() for number in range(12)]
    assert 0 < sum(cut) < 12


def test_mixing_differs_between_batches_seeds_and_ranks_and_repeats_otherwise() -> None:
    recipe = replace(PLAIN, mixup=0.8)
    first = step(make(recipe))[1]
    assert torch.equal(step(make(recipe))[1], first)
    assert not torch.equal(step(make(recipe), 1)[1], first)
    assert not torch.equal(step(make(recipe, seed=1))[1], first)


def test_label_smoothing_changes_the_targets() -> None:
    loss, _, targets = step(make(replace(PLAIN, label_smoothing=0.1)))
    assert torch.equal(targets, batch().labels)
    training = make()
    expected = F.cross_entropy(training.model(batch().images), batch().labels, label_smoothing=0.1)
    torch.testing.assert_close(loss, expected)
    _, _, mixed = step(make(replace(PLAIN, mixup=0.8, label_smoothing=0.1)))
    assert mixed.min() > 0.02


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({}, torch.nn.CrossEntropyLoss),
        ({"label_smoothing": 0.1}, LabelSmoothingCrossEntropy),
        ({"label_smoothing": 0.1, "mixup": 0.8}, SoftTargetCrossEntropy),
        ({"cutmix": 1.0}, SoftTargetCrossEntropy),
    ],
)
def test_the_loss_is_the_one_that_the_released_code_takes(change: dict[str, Any], kind: type) -> None:
    assert type(make(replace(PLAIN, **change)).criterion) is kind


def test_mixing_is_off_when_both_are_zero() -> None:
    assert mixing(PLAIN, 4) is None


def test_drop_path_changes_the_loss_and_repeats_by_batch() -> None:
    recipe = replace(PLAIN, drop_path=0.6)
    assert step(make())[0] != step(make(recipe))[0]
    assert step(make(recipe))[0] == step(make(recipe))[0]
    assert step(make(recipe), 1)[0] != step(make(recipe))[0]


def test_the_average_is_timms_and_is_what_counts() -> None:
    training = make(replace(PLAIN, ema=0.9))
    reference = ModelEmaV3(training.model, decay=0.9)
    optimizer = torch.optim.SGD(training.model.parameters(), lr=0.1)
    for _ in range(3):
        training.model(batch().images).square().mean().backward()
        training.optimizer_step(0, 0, SimpleNamespace(step=lambda closure: optimizer.step()), lambda: None)
        reference.update(training.model)
        optimizer.zero_grad()
    for mine, theirs in zip(training.evaluated.parameters(), reference.module.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert not torch.equal(training(batch().images), training.model(batch().images))
    assert torch.equal(training.eval()(batch().images), training.evaluated(batch().images))
    assert not any(p.requires_grad for p in training.evaluated.parameters())
    assert make().evaluated is not None
    assert make().average is None


def optimize(recipe: FineTuneRecipe, datamodule: ImageDataModule) -> tuple[Any, Any]:
    training = make(recipe)
    training._trainer = SimpleNamespace(datamodule=FineTuneData(datamodule, recipe, 0))  # type: ignore[assignment]
    made = training.configure_optimizers()
    return made["optimizer"], made["lr_scheduler"]["scheduler"]


def rates(recipe: FineTuneRecipe, datamodule: ImageDataModule) -> list[float]:
    """Of the head, at every step and after the last."""
    optimizer, schedule = optimize(recipe, datamodule)
    found = []
    for _ in range(10):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_the_schedule_is_the_released_one(datamodule: ImageDataModule) -> None:
    recipe = replace(PLAIN, base_lr=1.6e-1, min_lr=1e-3, warmup_epochs=1)  # 3 epochs of 3 steps, peak 1e-2
    import math

    peak, floor = 1e-2, 1e-3
    expected = [peak * epoch / 1 for epoch in (0, 1 / 3, 2 / 3)]
    expected += [floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * k / 6)) for k in range(7)]
    assert rates(recipe, datamodule) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("change", "same_start"),
    [({"min_lr": 1e-4}, True), ({"warmup_epochs": 2}, False), ({"base_lr": 3e-2}, False), ({"epochs": 6}, True)],
)
def test_options_of_the_schedule_change_the_rates(
    change: dict[str, Any], same_start: bool, datamodule: ImageDataModule
) -> None:
    plain, other = rates(PLAIN, datamodule), rates(replace(PLAIN, **change), datamodule)
    assert plain != other
    assert (plain[1] == other[1]) == same_start


def test_an_absolute_rate_does_not_follow_the_batch(datamodule: ImageDataModule) -> None:
    for size in (8, 16):
        optimizer, _ = optimize(replace(PLAIN, base_lr=None, lr=3e-3, batch_size=size), datamodule)
        assert optimizer.defaults["lr"] == 3e-3
        optimizer, _ = optimize(replace(PLAIN, base_lr=1e-2, batch_size=size), datamodule)
        assert optimizer.defaults["lr"] == 1e-2 * size / 256


def test_options_of_the_optimizer_reach_it(datamodule: ImageDataModule) -> None:
    optimizer, _ = optimize(replace(PLAIN, betas=(0.8, 0.9), weight_decay=0.3, layer_decay=0.5), datamodule)
    assert {tuple(group["betas"]) for group in optimizer.param_groups} == {(0.8, 0.9)}
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.3}
    assert len({group["initial_lr"] for group in optimizer.param_groups}) == 5
    assert len({g["initial_lr"] for g in optimize(replace(PLAIN, layer_decay=1.0), datamodule)[0].param_groups}) == 1


def test_shares_of_a_batch_that_cannot_be_mixed_are_refused() -> None:
    training = make(replace(PLAIN, mixup=0.8, batch_size=18))
    training._trainer = SimpleNamespace(world_size=2, accumulate_grad_batches=1)  # type: ignore[assignment]
    with pytest.raises(ValueError, match="even number of images"):
        training.on_fit_start()
    training._trainer = SimpleNamespace(world_size=1, accumulate_grad_batches=1)  # type: ignore[assignment]
    training.on_fit_start()

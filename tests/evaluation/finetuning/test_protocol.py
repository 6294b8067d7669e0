"""Fine-tuning as a protocol: end to end on blobs of 16 px."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mimbench.data import Batch, ImageDataModule, MemorySplit, Split
from mimbench.data.source import SplitName
from mimbench.encoders import ViTEncoder
from mimbench.evaluation import FineTune, FineTuneRecipe, PartialFineTune, run_protocols
from mimbench.evaluation.finetuning import FineTuning, classifier, fitting
from mimbench.evaluation.finetuning.data import FineTuneData
from mimbench.evaluation.finetuning.fitting import CLASSIFIER
from mimbench.evaluation.finetuning.protocol import numbers
from mimbench.training import pretrain

RECIPE = FineTuneRecipe(
    name="blobs",
    epochs=3,
    batch_size=16,
    base_lr=8e-2,
    warmup_epochs=1,
    drop_path=0.1,
    randaugment="rand-m3-n1",
    crop_scale=(0.6, 1.0),
    ema=0.5,
)
EASY = replace(
    RECIPE,
    epochs=6,
    layer_decay=1.0,
    mixup=0.0,
    cutmix=0.0,
    randaugment=None,
    random_erasing=0.0,
    crop_scale=(0.95, 1.0),
    ema=None,
)
TRAINER = {"accelerator": "cpu", "devices": 1}


def fine_tune(encoder: ViTEncoder, datamodule: ImageDataModule, directory: Path, **options: Any) -> dict[str, Any]:
    recipe = options.pop("recipe", RECIPE)
    trainer = TRAINER | options.pop("trainer", {})
    protocol = FineTune(recipe, recipe, **options)
    return run_protocols([protocol], encoder, datamodule, directory=directory, trainer=trainer)["finetune-blobs"]


def weights(directory: Path) -> dict[str, Tensor]:
    [path] = directory.rglob(CLASSIFIER)
    return load_file(path)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def values(directory: Path, metric: str) -> list[float]:
    [path] = directory.rglob("metrics.csv")
    rows = [line.split(",") for line in path.read_text().splitlines()]
    return [float(value) for _, name, value in rows if name == metric]


def test_it_learns_and_says_what_it_did(encoder: ViTEncoder, datamodule: ImageDataModule, tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    result = fine_tune(encoder, datamodule, tmp_path, recipe=EASY)
    assert result["accuracy"] > 0.7
    assert result["num_test"] == len(result["correct"]) == 28
    assert sum(result["correct"]) / 28 == result["accuracy"]
    assert result["val_accuracy"] == pytest.approx(values(tmp_path, "val/accuracy")[-1])
    assert len(values(tmp_path, "val/accuracy")) == 6
    assert json.loads(json.dumps(result))["recipe"]["layer_decay"] == 1.0
    assert not list(tmp_path.rglob("*.ckpt")), "checkpoints are for interrupted trainings"
    assert same(before, encoder.state_dict()), "the encoder of other protocols was trained"


def test_the_accuracy_is_that_of_the_saved_classifier(
    encoder: ViTEncoder, datamodule: ImageDataModule, tmp_path: Path
) -> None:
    result = fine_tune(encoder, datamodule, tmp_path)
    model = classifier(encoder, 4)
    model.load_state_dict(weights(tmp_path), strict=True)
    batch = _all(datamodule)
    with torch.no_grad():
        hits = (model.eval()(batch.images).argmax(1) == batch.labels).float().mean().item()
    assert result["accuracy"] == pytest.approx(hits)


def _all(datamodule: ImageDataModule) -> Batch:
    return Batch(*(torch.cat(parts) for parts in zip(*datamodule.plain("test"), strict=True)))


def test_the_same_seed_gives_the_same_weights_and_another_others(
    encoder: ViTEncoder, datamodule: ImageDataModule, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, epochs=1)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        protocol = FineTune(recipe, recipe, seed)
        run_protocols([protocol], encoder, datamodule, directory=tmp_path / name, trainer=TRAINER)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))


@contextmanager
def watched(callback: L.Callback) -> Iterator[None]:
    """With a callback in every training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "pretrain", partial(pretrain, callbacks=[callback]))
        yield


class Interrupt(L.Callback):
    """Sends a signal after some batches."""

    def __init__(self, batches: int):
        self.left = batches

    def on_train_batch_end(self, *args: Any) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("batches", [2, 3, 5])
def test_interrupted_and_gone_on_equals_uninterrupted(
    encoder: ViTEncoder, datamodule: ImageDataModule, tmp_path: Path, batches: int
) -> None:
    """With mixing, drop path, RandAugment, erasing and a moving average."""
    whole = fine_tune(encoder, datamodule, tmp_path / "whole")
    with watched(Interrupt(batches)), pytest.raises(KeyboardInterrupt):
        fine_tune(encoder, datamodule, tmp_path / "parts")
    assert list((tmp_path / "parts").rglob("last.ckpt"))
    parts = fine_tune(encoder, datamodule, tmp_path / "parts")
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    assert parts["accuracy"] == whole["accuracy"]
    for metric in ("val/accuracy", "val/loss", "lr"):
        assert values(tmp_path / "parts", metric) == values(tmp_path / "whole", metric)


def test_a_training_of_other_weights_is_not_gone_on_with(
    encoder: ViTEncoder, datamodule: ImageDataModule, tmp_path: Path
) -> None:
    with watched(Interrupt(4)), pytest.raises(KeyboardInterrupt):
        fine_tune(encoder, datamodule, tmp_path)
    with torch.no_grad():
        encoder.trunk.cls_token.add_(1)
    fine_tune(encoder, datamodule, tmp_path)
    fine_tune(encoder, datamodule, tmp_path / "alone")
    [other] = {path.parent for path in tmp_path.rglob(CLASSIFIER)} - set((tmp_path / "alone").rglob("*"))
    assert same(load_file(other / CLASSIFIER), weights(tmp_path / "alone"))


class WrongTestLabels(ImageDataModule):
    """Gives every test image the label of another."""

    def split(self, name: SplitName) -> Split:
        found = super().split(name)
        assert isinstance(found, MemorySplit)
        return MemorySplit(found.images, found.labels.roll(1)) if name == "test" else found


def test_the_test_labels_choose_nothing(encoder: ViTEncoder, datamodule: ImageDataModule, tmp_path: Path) -> None:
    one = fine_tune(encoder, datamodule, tmp_path / "right", recipe=EASY)
    wrong = WrongTestLabels(datamodule.source, batch_size=16, eval_batch_size=16)
    other = fine_tune(encoder, wrong, tmp_path / "wrong", recipe=EASY)
    assert same(weights(tmp_path / "right"), weights(tmp_path / "wrong"))
    assert values(tmp_path / "right", "val/loss") == values(tmp_path / "wrong", "val/loss")
    assert one["val_accuracy"] == other["val_accuracy"]
    assert one["accuracy"] != other["accuracy"]


def test_test_images_are_read_once_after_the_last_epoch(
    encoder: ViTEncoder, datamodule: ImageDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    plain = FineTuneData.plain
    monkeypatch.setattr(FineTuneData, "plain", lambda data, split: read.append(split) or plain(data, split))
    fine_tune(encoder, datamodule, tmp_path)
    assert read.count("test") == 1
    assert read[-1] == "test"


def test_partial_fine_tuning_is_a_curve_over_blocks(
    encoder: ViTEncoder, datamodule: ImageDataModule, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, epochs=1)
    protocols = [PartialFineTune(recipe, recipe, blocks=[0, 0.5, 3]), FineTune(recipe, recipe)]
    results = run_protocols(protocols, encoder, datamodule, directory=tmp_path, trainer=TRAINER)
    label = next(label for label in results if label.startswith("partial-finetune-blobs+"))
    curve = results[label]
    assert curve["blocks"] == [0, 0.5, 3]
    assert curve["trained_parameters"] == sorted(set(curve["trained_parameters"]))
    assert curve["accuracy"][-1] == results["finetune-blobs"]["accuracy"]
    [head] = (tmp_path / label).rglob(f"last-0/{CLASSIFIER}")
    trunk, tuned = encoder.trunk.state_dict(), load_file(head)
    for name in trunk.keys() & tuned.keys():
        assert torch.equal(tuned[name], trunk[name]), name


def test_numbers_of_blocks_go_from_the_head_to_everything() -> None:
    assert numbers(12) == (0, 0.5, 1, 2, 4, 8, 12)
    assert numbers(4) == (0, 0.5, 1, 2, 4)
    assert numbers(1) == (0, 0.5, 1)


def test_names_tell_the_recipe_and_what_was_changed() -> None:
    published = FineTuneRecipe()
    assert FineTune().label == "finetune-mae_base"
    assert FineTune(replace(published, layer_decay=0.7), published).label == "finetune-mae_base+layer_decay=0.7"
    assert FineTune(seed=3).label == "finetune-mae_base+seed=3"
    assert FineTune(grad_checkpointing=True).label == "finetune-mae_base"
    assert PartialFineTune().label == "partial-finetune-mae_base"
    assert FineTune(RECIPE, RECIPE).label == "finetune-blobs"


def test_gradient_checkpointing_changes_no_number(
    encoder: ViTEncoder, datamodule: ImageDataModule, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, epochs=1)
    one = fine_tune(encoder, datamodule, tmp_path / "a", recipe=recipe)
    other = fine_tune(encoder, datamodule, tmp_path / "b", recipe=recipe, grad_checkpointing=True)
    assert one["val_loss"] == pytest.approx(other["val_loss"], rel=1e-5)


def test_mixed_precision_and_accumulation_reach_the_trainer(
    encoder: ViTEncoder, datamodule: ImageDataModule, tmp_path: Path
) -> None:
    recipe, kinds = replace(RECIPE, epochs=1), set()

    class Spy(L.Callback):
        def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            assert isinstance(pl_module, FineTuning)
            pl_module.model.head.register_forward_hook(lambda _, __, out: kinds.add((out.dtype, len(out))))

        def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            assert trainer.global_step == 3

    options = {"precision": "bf16-mixed", "accumulate_grad_batches": 2}
    with watched(Spy()):
        fine_tune(encoder, datamodule, tmp_path, recipe=recipe, trainer=options)
    assert kinds == {(torch.bfloat16, 8)}


def test_training_images_are_augmented_by_the_recipe(datamodule: ImageDataModule) -> None:
    plain = replace(RECIPE, randaugment=None, random_erasing=0.0)

    def images(recipe: FineTuneRecipe) -> Tensor:
        return next(iter(FineTuneData(datamodule, recipe, 0).train_dataloader())).images

    assert images(plain).shape == (16, 3, 16, 16)
    assert not torch.equal(images(plain), images(RECIPE))
    assert not torch.equal(images(plain), images(replace(plain, crop_scale=None)))
    assert torch.equal(
        images(replace(plain, crop_scale=None)), images(replace(plain, crop_scale=datamodule.crop_scale))
    )


def test_images_without_labels_are_refused_before_training(
    encoder: ViTEncoder, datamodule: ImageDataModule, tmp_path: Path
) -> None:
    class Unlabeled(ImageDataModule):
        def split(self, name: SplitName) -> Split:
            found = super().split(name)
            assert isinstance(found, MemorySplit)
            return MemorySplit(found.images, torch.full_like(found.labels, -1)) if name == "val" else found

    data = Unlabeled(datamodule.source, batch_size=16)
    with pytest.raises(ValueError, match="in val have no label"):
        fine_tune(encoder, data, tmp_path)
    with pytest.raises(ValueError, match="exceeds the 48 training images"):
        fine_tune(encoder, datamodule, tmp_path, recipe=replace(RECIPE, batch_size=64))
    with pytest.raises(ValueError, match="has 3 blocks, fewer than"):
        run_protocols([PartialFineTune(RECIPE, RECIPE, blocks=[4])], encoder, datamodule, directory=tmp_path)

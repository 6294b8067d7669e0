"""Detection as a protocol, on scenes of 32 px."""

import json
import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from mimbench.data import ImageDataModule, Scenes, Shapes
from mimbench.data.source import SplitName
from mimbench.encoders import ViTEncoder, vit
from mimbench.evaluation import DetectionRecipe, DetectViTDet, run_protocols
from mimbench.evaluation.detection.data import DetectionData
from mimbench.evaluation.finetuning import fitting
from mimbench.runs.records import HEADLINES
from mimbench.training import pretrain

RECIPE = DetectionRecipe(
    name="tiny",
    image_size=None,
    epochs=2,
    batch_size=4,
    lr=1e-3,
    width=8,
    proposals=8,
    warmup_steps=2,
    window=2,
    global_blocks=1,
    drop_path=0.2,
    score_threshold=0.01,
)
TRAINER = {"accelerator": "cpu", "devices": 1}


@pytest.fixture
def scenes() -> ImageDataModule:
    return ImageDataModule(Scenes(image_size=32, num_train=12, num_val=4, num_test=6), batch_size=4, eval_batch_size=4)


@pytest.fixture
def trunk() -> ViTEncoder:
    torch.manual_seed(0)
    return vit(image_size=32, patch_size=8, width=16, depth=2, num_heads=2)


def detect(encoder: ViTEncoder, data: ImageDataModule, directory: Path, **options: Any) -> dict[str, Any]:
    recipe = options.pop("recipe", RECIPE)
    protocol = DetectViTDet(recipe, recipe, **options)
    return run_protocols([protocol], encoder, data, directory=directory, trainer=TRAINER)[protocol.label]


class Interrupt(L.Callback):
    """Sends a signal after some batches."""

    def __init__(self, batches: int):
        self.left = batches

    def on_train_batch_end(self, *args: Any) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


def test_interrupted_and_gone_on_equals_uninterrupted_and_the_same_seed_the_same(
    trunk: ViTEncoder, scenes: ImageDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    whole = detect(trunk, scenes, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "pretrain", partial(pretrain, callbacks=[Interrupt(4)]))
        with pytest.raises(KeyboardInterrupt):
            detect(trunk, scenes, tmp_path / "parts")
    assert list((tmp_path / "parts").rglob("last.ckpt"))
    parts = detect(trunk, scenes, tmp_path / "parts")
    clock = ("train_seconds", "images_per_second")
    assert {k: v for k, v in parts.items() if k not in clock} == {k: v for k, v in whole.items() if k not in clock}
    assert not list(tmp_path.rglob("*.ckpt")), "checkpoints are for interrupted trainings"
    assert all(torch.equal(value, before[name]) for name, value in trunk.state_dict().items()), "a copy is trained"
    loaded = json.loads(json.dumps(whole))
    assert loaded["num_test"] == 6
    assert next(name for name in HEADLINES if name in loaded) == "ap_box"
    assert {"ap_box50", "ap_box75", "ap_mask", "ap_mask50", "ap_mask75", "val_ap_box", "val_loss"} <= loaded.keys()
    assert loaded["recipe"]["width"] == 8


def test_every_split_is_read_whole_and_in_order_with_its_own_objects(scenes: ImageDataModule) -> None:
    data = DetectionData(scenes, RECIPE, 0)
    sizes: dict[SplitName, int] = {"train": 12, "val": 4, "test": 6}
    for name, number in sizes.items():
        batches = list(data.plain(name))
        assert torch.cat([batch.index for batch in batches]).tolist() == list(range(number))
        found = [target["labels"] for batch in batches for target in batch.targets]
        expected = [data.annotated(name).objects(i).labels + 1 for i in range(number)]
        assert all(map(torch.equal, found, expected))


def test_training_batches_depend_on_seed_epoch_and_image_alone(scenes: ImageDataModule) -> None:
    one, same, other = (next(iter(DetectionData(scenes, RECIPE, seed).train_dataloader())) for seed in (0, 0, 1))
    assert torch.equal(one.images, same.images)
    assert not torch.equal(one.images, other.images)
    loader = DetectionData(scenes, RECIPE, 0).train_dataloader()
    loader.sampler.set_epoch(1)
    later = next(iter(loader))
    assert sorted(later.index.tolist()) != sorted(one.index.tolist()) or not torch.equal(later.images, one.images)


def test_images_without_objects_are_refused_before_training(trunk: ViTEncoder, tmp_path: Path) -> None:
    data = ImageDataModule(Shapes(image_size=32, num_train=8, num_val=8, num_test=8), batch_size=4)
    with pytest.raises(ValueError, match=r"no annotation \(objects .*data=scenes, collages or coco"):
        detect(trunk, data, tmp_path)


def test_a_split_without_any_object_is_refused_before_training(trunk: ViTEncoder, tmp_path: Path) -> None:
    empty = Scenes(
        image_size=32, num_train=12, num_val=1, num_test=6, seed=next(seed for seed in range(99) if bare(seed))
    )
    with pytest.raises(ValueError, match="The split val has no objects"):
        detect(trunk, ImageDataModule(empty, batch_size=4), tmp_path)


def bare(seed: int) -> bool:
    return not len(Scenes(image_size=32, num_train=12, num_val=1, num_test=6, seed=seed).split("val").objects(0))


def test_a_batch_larger_than_the_data_is_refused(trunk: ViTEncoder, scenes: ImageDataModule, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"detect\.batch_size=16 exceeds the 12"):
        detect(trunk, scenes, tmp_path, recipe=replace(RECIPE, batch_size=16))


def test_the_result_is_called_by_its_recipe_and_what_was_changed() -> None:
    changed = replace(RECIPE, layer_decay=0.9)
    assert DetectViTDet(RECIPE, RECIPE).label == "detect-tiny"
    assert DetectViTDet(changed, RECIPE).label == "detect-tiny+layer_decay=0.9"
    assert DetectViTDet(changed, RECIPE, seed=1).deviations() == {"layer_decay": 0.9, "seed": 1}
    steady = replace(RECIPE, drop_path=0.0)
    assert DetectViTDet(replace(steady, frozen=True), steady).label == "detect-tiny+frozen=True"


@pytest.mark.parametrize(
    "change",
    [
        {"name": None},
        {"epochs": 0},
        {"scale_range": (2.0, 0.1)},
        {"scale_range": (1.0,)},
        {"layer_decay": 0.0},
        {"drop_path": 1.0},
        {"drop_path": 0.2, "frozen": True},
        {"milestones": (1.5,)},
        {"image_size": 0},
        {"warmup_steps": -1},
    ],
)
def test_impossible_recipes_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"detect[.=]"):
        replace(RECIPE, **change)


def test_the_rate_is_the_released_one() -> None:
    recipe, steps = DetectionRecipe(), 184_375
    assert recipe.rate(0, steps) == pytest.approx(1e-3)
    assert recipe.rate(125, steps) == pytest.approx(0.5005)
    assert [recipe.rate(step, steps) for step in (250, 163_888)] == [1, 1]
    assert [recipe.rate(step, steps) for step in (163_889, 177_545)] == pytest.approx([0.1, 0.1])
    assert recipe.rate(177_546, steps) == pytest.approx(0.01)

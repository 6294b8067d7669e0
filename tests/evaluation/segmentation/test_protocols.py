"""Segmentation protocols from end to end on a few scenes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback

from mimbench.data import ImageDataModule, Scenes, Shapes
from mimbench.data.source import SplitName
from mimbench.encoders import ViTEncoder, vit
from mimbench.evaluation import Features, SegmentLinear, SegmentRecipe, SegmentUPerNet, run_protocols
from mimbench.evaluation.base import Subject
from mimbench.evaluation.segmentation.upernet import groups, network

SMALL = SegmentRecipe(
    "tiny", lr=1e-2, channels=8, size=None, depths=None, steps=4, warmup_steps=1, batch_size=4, layer_decay=0.5
)


@pytest.fixture
def scenes() -> ImageDataModule:
    return ImageDataModule(Scenes(32, num_train=12, num_val=3, num_test=4, max_objects=2), batch_size=4)


@pytest.fixture
def encoder() -> ViTEncoder:
    torch.manual_seed(0)
    return vit(image_size=32, patch_size=8, width=16, depth=4, num_heads=2)


def run(protocol: Any, encoder: ViTEncoder, data: ImageDataModule, directory: Path) -> dict[str, Any]:
    (result,) = run_protocols([protocol], encoder, data, directory=directory).values()
    return result


@pytest.mark.parametrize(
    "protocol",
    [SegmentLinear(epochs=2, batch_size=4, depths=[2, 4]), SegmentUPerNet(recipe=SMALL, published=SMALL)],
    ids=["linear", "upernet"],
)
def test_a_protocol_gives_all_metrics_and_the_same_again(
    protocol: Any, encoder: ViTEncoder, scenes: ImageDataModule, tmp_path: Path
) -> None:
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    found = run(protocol, encoder, scenes, tmp_path / "once")
    again = run(protocol, encoder, scenes, tmp_path / "twice")
    assert all(0 <= found[name] <= 1 for name in ("miou", "macc", "aacc"))
    assert len(found["iou"]) == len(found["classes"]) == 9
    assert found["num_test"] == 4
    assert found["miou"] == again["miou"]
    assert found["val_loss"] == again["val_loss"]
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert not list(tmp_path.rglob("*.ckpt"))


def test_a_linear_head_learns_what_colors_tell(tmp_path: Path, encoder: ViTEncoder) -> None:
    data = ImageDataModule(Scenes(32, num_train=48, num_val=3, num_test=1, max_objects=1), batch_size=4)
    short = run(SegmentLinear(epochs=1, batch_size=16, lr=1e-5), encoder, data, tmp_path / "short")
    long = run(SegmentLinear(epochs=4, batch_size=8, lr=3e-2), encoder, data, tmp_path / "long")
    assert long["val_loss"] < 0.7 * short["val_loss"]


def test_an_interrupted_training_goes_on_exactly(
    encoder: ViTEncoder, scenes: ImageDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = SegmentUPerNet(recipe=replace(SMALL, drop_path=0.5, steps=6), published=SMALL)
    whole = run(protocol, encoder, scenes, tmp_path / "whole")

    class Stop(Callback):
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            if trainer.global_step == 4:
                raise KeyboardInterrupt

    from mimbench.evaluation.finetuning import fitting

    pretrain = fitting.pretrain
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "pretrain", lambda *a, **k: pretrain(*a, **k, callbacks=[Stop()]))
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            run(protocol, encoder, scenes, tmp_path / "cut")
    rest = run(protocol, encoder, scenes, tmp_path / "cut")
    assert rest["val_loss"] == whole["val_loss"]
    assert rest["iou"] == whole["iou"]


def test_data_without_classes_per_pixel_is_refused_before_training(encoder: ViTEncoder, tmp_path: Path) -> None:
    shapes = ImageDataModule(Shapes(32, 16, 8, 8), batch_size=4)
    for protocol in (SegmentLinear(), SegmentUPerNet()):
        with pytest.raises(ValueError, match="data=scenes, collages or ade20k"):
            run(protocol, encoder, shapes, tmp_path)


def test_depths_and_batches_that_cannot_be_are_refused(
    encoder: ViTEncoder, scenes: ImageDataModule, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"depths 0 to 4, not \[7\]"):
        run(SegmentLinear(depths=[7], batch_size=4), encoder, scenes, tmp_path)
    with pytest.raises(ValueError, match="exceeds the 12 training images"):
        run(SegmentLinear(), encoder, scenes, tmp_path)
    with pytest.raises(ValueError, match="must be positive"):
        SegmentLinear(epochs=0)


def test_a_changed_recipe_says_so_in_its_name() -> None:
    assert SegmentUPerNet().label == "segment-upernet-mae_base"
    changed = SegmentUPerNet(recipe=SegmentRecipe(lr=1e-3))
    assert changed.label == "segment-upernet-mae_base+lr=0.001"
    assert SegmentLinear(depths=[2, 4]).label == "segment-linear-v1+depths=2,4"
    assert SegmentLinear().label == "segment-linear-v1"


@pytest.mark.parametrize("wrong", [{"name": None}, {"lr": 0.0}, {"layer_decay": 1.5}, {"drop_path": 1.0}, {"steps": 0}])
def test_recipes_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="segment"):
        SegmentRecipe(**wrong)


def never(split: SplitName) -> Features:
    raise AssertionError(split)


def test_rates_fall_from_the_head_to_the_embedding(
    encoder: ViTEncoder, scenes: ImageDataModule, tmp_path: Path
) -> None:
    subject = Subject(encoder, scenes, never, torch.device("cpu"), tmp_path)
    model = network(subject, SMALL, num_classes=9, seed=0)
    found = groups(model, SMALL)
    rate = {id(p): group["lr"] for group in found for p in group["params"]}
    decay = {id(p): group["weight_decay"] for group in found for p in group["params"]}
    named = dict(encoder.trunk.named_parameters())
    assert rate[id(model.get_parameter("classify.1.weight"))] == SMALL.lr
    assert rate[id(named["blocks.3.mlp.fc1.weight"])] == SMALL.lr * 0.5
    assert rate[id(named["blocks.0.mlp.fc1.weight"])] == SMALL.lr * 0.5**4
    assert rate[id(named["patch_embed.proj.weight"])] == rate[id(named["pos_embed"])] == SMALL.lr * 0.5**5
    assert decay[id(named["blocks.0.norm1.weight"])] == decay[id(named["pos_embed"])] == 0
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    assert rate.keys() == trained
    assert sum(len(group["params"]) for group in found) == len(trained)

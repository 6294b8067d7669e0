"""Exact resume in mid-epoch, alone and under Lightning."""

from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from torch import Tensor, nn

from mimbench.data import Batch, ImageDataModule, Shapes, TrainLoader

# Lightning 2.6.6 asks PyTorch 2.15 for a type that PyTorch is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")

QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
    "use_distributed_sampler": False,
}


def datamodule(num_workers: int = 0) -> ImageDataModule:
    source = Shapes(8, num_train=44, num_val=8, num_test=8)
    return ImageDataModule(source, batch_size=8, num_workers=num_workers, seed=1)


def epochs(loader: TrainLoader, first: int, last: int) -> list[Batch]:
    batches: list[Batch] = []
    for epoch in range(first, last):
        loader.sampler.set_epoch(epoch)
        batches += loader
    return batches


def assert_same(actual: list[Batch], expected: list[Batch]) -> None:
    assert len(actual) == len(expected)
    for ours, theirs in zip(actual, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("stop", [1, 3, 5])
def test_the_remaining_batches_are_bit_equal_after_a_restart(num_workers: int, stop: int) -> None:
    reference = epochs(datamodule().train_dataloader(), 1, 3)
    loader = datamodule(num_workers).train_dataloader()
    loader.sampler.set_epoch(1)
    iterator = iter(loader)
    before = [next(iterator) for _ in range(stop)]
    state = loader.state_dict()
    assert state == {"epoch": 1, "batch": stop}

    restored = datamodule(num_workers).train_dataloader()
    restored.load_state_dict(state)
    assert restored.state_dict() == state
    assert_same(before + epochs(restored, 1, 3), reference)


def test_epochs_differ_in_order_and_augmentation() -> None:
    first, second = (epochs(datamodule().train_dataloader(), e, e + 1) for e in (0, 1))
    assert not torch.equal(first[0].index, second[0].index)
    images = [
        dict(zip(torch.cat([b.index for b in e]).tolist(), torch.cat([b.images for b in e]), strict=True))
        for e in (first, second)
    ]
    common = images[0].keys() & images[1].keys()
    assert common
    assert not any(torch.equal(images[0][i], images[1][i]) for i in common)


class Recorder(lightning.LightningModule):
    """Trains a weight on what it sees and writes down which images came when."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[int, list[int]]] = []
        self.stop_at = stop_at

    def training_step(self, batch: Batch, _: int) -> Tensor:
        assert isinstance(batch, Batch)
        self.seen.append((self.current_epoch, batch.index.tolist()))
        return (batch.images.mean() - self.weight).square()

    def validation_step(self, batch: Batch, _: int) -> None:
        assert isinstance(batch, Batch)

    def on_train_batch_end(self, *_: Any) -> None:
        if self.global_step == self.stop_at:
            self.trainer.save_checkpoint(Path(self.trainer.default_root_dir) / "stopped.ckpt")
            raise KeyboardInterrupt

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(folder: Path, stop_at: int | None = None, checkpoint: Path | None = None, accumulate: int = 1) -> Recorder:
    model = Recorder(stop_at)
    trainer = lightning.Trainer(
        default_root_dir=folder, max_epochs=3, enable_checkpointing=False, accumulate_grad_batches=accumulate, **QUIET
    )
    try:
        trainer.fit(model, datamodule=datamodule(), ckpt_path=checkpoint)
    except SystemExit:  # Lightning turns the interrupt into an exit
        assert stop_at is not None
    return model


@pytest.mark.parametrize("stop", [4, 5, 6, 10])
def test_lightning_resumes_in_mid_epoch_and_at_its_end(tmp_path: Path, stop: int) -> None:
    whole = fit(tmp_path)
    assert len(whole.seen) == 15
    first = fit(tmp_path, stop_at=stop)
    rest = fit(tmp_path, checkpoint=tmp_path / "stopped.ckpt")
    assert first.seen + rest.seen == whole.seen
    assert torch.equal(rest.weight, whole.weight)


def test_lightning_announces_the_epoch_so_that_the_order_changes(tmp_path: Path) -> None:
    seen = fit(tmp_path).seen
    assert [epoch for epoch, _ in seen] == [0] * 5 + [1] * 5 + [2] * 5
    assert seen[0][1] != seen[5][1] != seen[10][1]


def test_accumulation_keeps_the_images_of_a_step(tmp_path: Path) -> None:
    whole, halves = fit(tmp_path).seen, fit(tmp_path, accumulate=2).seen
    assert len(halves) == 2 * len(whole)
    for step, (_, index) in enumerate(whole):
        assert halves[2 * step][1] + halves[2 * step + 1][1] == index

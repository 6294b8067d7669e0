"""Settings that cannot be: each is refused in one line with what it must be, before anything is written."""

from pathlib import Path
from typing import Any

import pytest

from mimbench.cli import main

COMMAND = ["run", "experiment=demo", "data=digits", "protocol=[]", "budget=steps", "budget.steps=1"]

REFUSED: dict[str, str] = {
    "+encoder.in_channels=1": "encoder.in_channels is 1; images are read with three colors, gray ones too",
    "+encoder.in_channels=5": "encoder.in_channels is 5; images are read with three colors",
    "trainer.devices=5": "by 5 devices x 1 accumulated batches; set optim.batch_size to a multiple of 5, such as 65",
    "trainer.devices=0": "trainer.devices is 0; it must be at least 1, or -1 for all GPUs",
    "trainer.devices=-2": "trainer.devices is -2; it must be at least 1, or -1 for all GPUs",
    "trainer.accumulate_grad_batches=0": "trainer.accumulate_grad_batches is 0; it must be a whole number",
    "trainer.accumulate_grad_batches=-1": "trainer.accumulate_grad_batches is -1; it must be a whole number",
    "trainer.accumulate_grad_batches=0.5": "trainer.accumulate_grad_batches is 0.5; it must be a whole number",
    "trainer.accumulate_grad_batches=3": "cannot be shared by 1 devices x 3 accumulated batches",
    "trainer.num_nodes=2": "trainer.num_nodes=2 needs a process on every node",
    "trainer.precision=8": "Precision 8 is invalid. Allowed precision values",
    "data.image_size=[96,192]": "data.image_size is [96, 192]; images and patches are square, so it must be one whole",
    "data.image_size=32.5": "data.image_size is 32.5; images and patches are square",
    "data.image_size=0": "data.image_size is 0; images and patches are square",
    "data.image_size=31": "an image of 31 px; set encoder.patch_size to 1, or data.image_size=32",
    "data.patch_size=[8,16]": "data.patch_size is [8, 16]; images and patches are square",
    "data.patch_size=0": "data.patch_size is 0; images and patches are square",
    "data.patch_size=14": "set encoder.patch_size to one of [2, 4, 8, 16], or data.image_size=28",
    "data.patch_size=64": "Patches of 64 px do not divide an image of 32 px",
    "data.patch_size=32": "leaves 0 of 1 cells visible; use smaller patches",
    "masker.ratio=0": "The mask ratio must lie between 0 and 1, both excluded, got 0",
    "masker.ratio=1": "The mask ratio must lie between 0 and 1, both excluded, got 1",
    "masker.ratio=-0.5": "The mask ratio must lie between 0 and 1, both excluded, got -0.5",
    "masker.ratio=75": "The mask ratio must lie between 0 and 1, both excluded, got 75",
    "masker.ratio=nan": "The mask ratio must lie between 0 and 1, both excluded, got nan",
    "masker.ratio=0.999": "leaves 0 of 16 cells visible; use smaller patches or a less extreme ratio",
    "optim.batch_size=0": "batch_size is 0; it must be a whole number of at least 1",
    "optim.batch_size=100000": "is larger than the training set of",
    "optim.base_lr=nan": "optim.base_lr is nan; it must be a number of at least 0",
    "optim.base_lr=-1": "optim.base_lr is -1; it must be a number of at least 0",
    "data.num_workers=-1": "num_workers is -1; it must be a whole number of at least 0",
    "+data.crop_scale=[0,1]": "crop_scale is 0, 1; it must be a range of areas within (0, 1]",
    "encoder.depth=0": "encoder.depth is 0; it must be a whole number of at least 1",
    "encoder.num_heads=5": "5 heads do not divide a width of",
    "budget.steps=0": "budget",
    "seed=one": "seed is 'one'; it must be a whole number",
}


@pytest.mark.parametrize("word", REFUSED)
def test_a_setting_that_cannot_be_is_refused_in_one_line(
    tmp_path: Path, word: str, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*COMMAND, word]) == 2
    error = capsys.readouterr().err
    assert REFUSED[word] in error
    assert error.count("\n") == 1
    assert not list(tmp_path.rglob("*.*"))

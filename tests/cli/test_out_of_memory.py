"""A GPU that is too small is answered in one line with the batch, the memory and remedies."""

from pathlib import Path
from typing import Any

import pytest
import torch

from mimbench.cli import main
from mimbench.experiments import pipeline


@pytest.mark.parametrize(
    ("words", "wanted", "unwanted"),
    [
        ([], ["256 images at a time (optim.batch_size=256)", "accumulate_grad_batches=2", "grad_checkpointing"], []),
        (
            ["trainer.accumulate_grad_batches=4", "trainer.grad_checkpointing=true", "trainer.precision=bf16-mixed"],
            ["64 images at a time", "accumulate_grad_batches=8"],
            ["grad_checkpointing", "precision"],
        ),
    ],
)
def test_one_line_names_the_batch_and_the_remedies_that_are_left(
    words: list[str],
    wanted: list[str],
    unwanted: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def execute(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(pipeline, "execute", execute)
    monkeypatch.chdir(tmp_path)
    assert main(["run", "data=digits", "method=mae", *words]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("mimbench run: The GPU's memory")
    assert all(part in line for part in wanted)
    assert not any(part in line for part in unwanted)

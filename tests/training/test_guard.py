"""A run stops before NaN or infinity reach a checkpoint."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mimbench.training import NonFiniteLossError

Make = Callable[..., Any]


def poison(trainer: Any, module: Any) -> None:
    """Makes the next loss NaN."""
    module.decoders[0].head.bias.data.fill_(float("nan"))


def is_finite(path: Path) -> bool:
    state = torch.load(path, weights_only=True)["state_dict"]
    return all(bool(value.isfinite().all()) for value in state.values())


def test_the_error_names_step_terms_and_last_good_checkpoint(new_run: Make, do: Make) -> None:
    run = new_run()
    with pytest.raises(NonFiniteLossError) as caught:
        run.train([do("on_train_batch_start", 5, poison)])
    message = str(caught.value)
    assert "The loss is nan at step 5 (epoch 1)" in message
    assert "{'train/loss': nan}" in message
    assert f"Last good checkpoint: {run.checkpoint}" in message
    assert torch.load(run.checkpoint, weights_only=True)["global_step"] == 3
    assert is_finite(run.checkpoint)


def test_the_error_reports_a_missing_checkpoint(new_run: Make, do: Make) -> None:
    with pytest.raises(NonFiniteLossError, match="Last good checkpoint: none was saved"):
        new_run().train([do("on_train_batch_start", 2, poison)])


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_train_epoch_end", "on_train_end"])
def test_weights_that_are_not_finite_after_the_last_loss_are_not_saved(new_run: Make, do: Make, hook: str) -> None:
    run = new_run()
    with pytest.raises(NonFiniteLossError, match=r"decoders\.0\.head\.bias has values that are not finite at step"):
        run.train([do(hook, {"on_train_batch_end": 6, "on_train_epoch_end": 2, "on_train_end": 1}[hook], poison)])
    assert is_finite(run.checkpoint)


def test_an_infinite_loss_stops_the_run(new_run: Make, do: Make) -> None:
    def overflow(trainer: Any, module: Any) -> None:
        module.combine = lambda terms: terms[0] * torch.inf

    with pytest.raises(NonFiniteLossError, match="The loss is inf at step 2"):
        new_run().train([do("on_train_batch_start", 2, overflow)])

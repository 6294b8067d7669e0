"""How long a run trains: epochs, steps, training FLOPs or device-seconds."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import lightning as L

from mimbench.training.progress import Progress

_WINDOW = 0.02  # share of the budget over which the pace is measured
_FIRST = 8  # no sooner, since the first steps are slow
_LATEST = 0.25  # but with what is known when so much of the budget is spent


@dataclass(frozen=True)
class Budget:
    """Exactly one of four measures.

    Attributes:
        epochs: Passes over the training split, a whole number.
        steps: Optimiser steps, a whole number.
        flops: Training operations of the whole run, as `Cost.training_flops` counts them. So many whole steps as fit.
        seconds: Seconds in training steps and their data, times devices. See `SecondsBudget`.

    Raises:
        ValueError: None or several are given, or one is not positive.
    """

    # Any, since what a user wrote is checked here.
    epochs: Any = None
    steps: Any = None
    flops: Any = None
    seconds: Any = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in asdict(self).items() if value is not None}
        if len(given) != 1:
            raise ValueError(
                f"A budget is one of epochs, steps, flops and seconds, got {given or 'none'}; "
                "choose it with budget=NAME budget.NAME=VALUE, and remove what an experiment chose: ~budget.NAME."
            )
        [(name, value)] = given.items()
        if name in ("epochs", "steps") and (type(value) is not int or value < 1):
            raise ValueError(f"budget.{name} is a positive whole number, got {value!r}.")
        if type(value) not in (int, float) or not 0 < value < math.inf:
            raise ValueError(f"budget.{name} is a positive number, got {value!r}.")

    def total_steps(self, steps_per_epoch: int, flops_per_step: float | None) -> int | None:
        """Optimiser steps of the whole run; None where only training can tell.

        Args:
            flops_per_step: Training operations of a whole effective batch; only read for a budget of FLOPs.

        Raises:
            ValueError: A budget of FLOPs is too small for one step.
        """
        if self.epochs is not None:
            return self.epochs * steps_per_epoch
        if self.flops is None:
            return self.steps
        assert flops_per_step is not None
        steps = math.floor(self.flops / flops_per_step)
        if not steps:
            raise ValueError(
                f"budget.flops={self.flops:.3g} is less than one step, which takes {flops_per_step:.3g}; "
                "give more, or a smaller optim.batch_size."
            )
        return steps


class SecondsBudget(L.Callback):
    """Ends a run after a number of device-seconds.

    It measures the pace of the first steps and then fixes the total, which checkpoints keep: from there on the run is
    one with a budget of so many steps, its schedule ends with it, and it can be resumed exactly. Until then the rate
    warms up and stays at its peak. The pace is that between two powers of two steps, from 8 on the first pair whose
    distance is 2 % of the budget, or with which a quarter of it is spent; so what came before (start-up, compilation)
    is paid for but not extrapolated. A machine that becomes slower or faster later makes the run longer or shorter
    than its budget; the record tells by how much.

    Args:
        progress: Whose clock counts; it comes before this callback.

    Attributes:
        total: Optimiser steps of the whole run, None until known.
    """

    def __init__(self, seconds: float, progress: Progress):
        self.seconds = seconds
        self.progress = progress
        self.total: int | None = None
        self._seen = 0
        self._mark: tuple[int, float] | None = None  # steps and device-seconds at the last look

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.total is not None:
            _stop_at(trainer, self.total)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if self.total is not None or step == self._seen or step & (step - 1):
            return
        self._seen = step
        self.progress.settle(trainer, pl_module)
        spent = trainer.strategy.broadcast(self.progress.device_seconds)  # ranks must agree
        mark, self._mark = self._mark, (step, spent)
        if mark is None:
            return
        enough = step >= _FIRST and spent - mark[1] >= _WINDOW * self.seconds
        if not enough and spent < _LATEST * self.seconds:
            return
        pace = max(spent - mark[1], 1e-9) / (step - mark[0])
        self.total = step + max(0, math.floor((self.seconds - spent) / pace))
        _stop_at(trainer, self.total)
        if trainer.is_global_zero:
            print(f"{self.total} steps fit into {self.seconds:g} device-seconds ({pace:.3g} s a step).", flush=True)

    def state_dict(self) -> dict[str, Any]:
        return {"total": self.total}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.total = state_dict["total"]


def _stop_at(trainer: L.Trainer, steps: int) -> None:
    trainer.fit_loop.epoch_loop.max_steps = steps

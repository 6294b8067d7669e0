"""How long a run trains: epochs, steps, training FLOPs or device-seconds."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import lightning as L

from mimbench.training.progress import Progress

_WINDOW = 0.1  # share of the budget over which the time per step is measured
_FIRST = 8  # earliest step of a measurement, since the first steps are slow
_LATEST = 0.25  # share of the budget after which the last measurement is used, however short


@dataclass(frozen=True)
class Budget:
    """Length of a training run in exactly one of four measures.

    Attributes:
        epochs: Passes over the training split, a whole number.
        steps: Optimizer steps, a whole number.
        flops: Training operations of the whole run, counted as in `Cost.training_flops`; as many whole steps as fit.
        seconds: Seconds of training steps and data loading, times devices; see `SecondsBudget`.

    Raises:
        ValueError: None or several are given, or the value is not a positive number.
    """

    # Typed as Any, since user input is validated here.
    epochs: Any = None
    steps: Any = None
    flops: Any = None
    seconds: Any = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in asdict(self).items() if value is not None}
        if len(given) != 1:
            raise ValueError(
                f"A budget must be exactly one of epochs, steps, flops and seconds, got {given or 'none'}; "
                "set it with budget=NAME budget.NAME=VALUE, and remove the one of an experiment with ~budget.NAME."
            )
        [(name, value)] = given.items()
        if name in ("epochs", "steps") and (type(value) is not int or value < 1):
            raise ValueError(f"budget.{name} is {value!r}; it must be a positive whole number.")
        if type(value) not in (int, float) or not 0 < value < math.inf:
            raise ValueError(f"budget.{name} is {value!r}; it must be a positive number.")

    def total_steps(self, steps_per_epoch: int, flops_per_step: float | None) -> int | None:
        """Optimizer steps of the whole run; None for a budget of seconds, which is converted during training.

        Args:
            flops_per_step: Training operations of an effective batch; used only for a budget of FLOPs.

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
                "increase the budget or reduce optim.batch_size."
            )
        return steps


class SecondsBudget(L.Callback):
    """Ends a run after a number of device-seconds.

    The callback measures the time per step early in the run, converts the remaining budget to steps and stores the
    total in checkpoints. From then on the run equals one with a budget of that many steps: the schedule ends with it,
    and it can be resumed exactly. Until then the learning rate warms up and stays at its peak.

    The time per step is measured between two consecutive powers of two, from step 8 on: over the first pair that spans
    10 % of the budget, or the pair at which a quarter of the budget is spent. Start-up and compilation before it count
    against the budget but are not extrapolated. If the machine becomes slower or faster later, the run takes more or
    less than its budget; its record contains the actual device-seconds.

    Args:
        progress: The callback whose clock is used; it must precede this one.

    Attributes:
        total: Optimizer steps of the whole run; None until known.
    """

    def __init__(self, seconds: float, progress: Progress):
        self.seconds = seconds
        self.progress = progress
        self.total: int | None = None
        self._last_step = 0
        self._last_measured: tuple[int, float] | None = None  # step and device-seconds

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.total is not None:
            _stop_at(trainer, self.total)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if self.total is not None or step == self._last_step or step & (step - 1):
            return
        self._last_step = step
        self.progress.synchronize(trainer, pl_module)
        spent = trainer.strategy.broadcast(self.progress.device_seconds)  # all ranks must use the same value
        before, self._last_measured = self._last_measured, (step, spent)
        if before is None:
            return
        enough = step >= _FIRST and spent - before[1] >= _WINDOW * self.seconds
        if not enough and spent < _LATEST * self.seconds:
            return
        per_step = max(spent - before[1], 1e-9) / (step - before[0])
        self.total = step + max(0, math.floor((self.seconds - spent) / per_step))
        _stop_at(trainer, self.total)
        if trainer.is_global_zero:
            print(f"{self.seconds:g} device-seconds allow {self.total} steps ({per_step:.3g} s per step).", flush=True)

    def state_dict(self) -> dict[str, Any]:
        return {"total": self.total}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.total = state_dict["total"]


def _stop_at(trainer: L.Trainer, steps: int) -> None:
    trainer.fit_loop.epoch_loop.max_steps = steps

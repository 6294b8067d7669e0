"""Pre-training: the trainer's setup, its callbacks, and the cost of a run."""

from mimbench.training.budget import Budget, SecondsBudget
from mimbench.training.checkpoints import Checkpoints
from mimbench.training.cost import Cost, measure_cost, stored_bytes
from mimbench.training.guard import NonFiniteLossError, StopOnNonFinite
from mimbench.training.interruption import InterruptedRun, StopSignals
from mimbench.training.metrics import MetricsFile
from mimbench.training.pretrain import Pretraining, pretrain
from mimbench.training.progress import Progress
from mimbench.training.reconstructions import Reconstructions
from mimbench.training.saving import AtomicCheckpointIO, NotSavedError

__all__ = [
    "AtomicCheckpointIO",
    "Budget",
    "Checkpoints",
    "Cost",
    "InterruptedRun",
    "MetricsFile",
    "NonFiniteLossError",
    "NotSavedError",
    "Pretraining",
    "Progress",
    "Reconstructions",
    "SecondsBudget",
    "StopOnNonFinite",
    "StopSignals",
    "measure_cost",
    "pretrain",
    "stored_bytes",
]

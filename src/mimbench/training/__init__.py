"""Pre-training: the trainer's set-up, its callbacks and what a run costs."""

from mimbench.training.checkpoints import AtomicCheckpointIO, Checkpoints
from mimbench.training.cost import Cost, measure_cost
from mimbench.training.guard import NonFiniteLossError, StopOnNonFinite
from mimbench.training.interruption import InterruptedRun
from mimbench.training.metrics import MetricsFile
from mimbench.training.pretrain import Pretraining, pretrain
from mimbench.training.progress import Progress
from mimbench.training.reconstructions import Reconstructions

__all__ = [
    "AtomicCheckpointIO",
    "Checkpoints",
    "Cost",
    "InterruptedRun",
    "MetricsFile",
    "NonFiniteLossError",
    "Pretraining",
    "Progress",
    "Reconstructions",
    "StopOnNonFinite",
    "measure_cost",
    "pretrain",
]

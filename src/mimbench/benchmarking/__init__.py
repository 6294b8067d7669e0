"""How fast training is, and against what: ratios within one run on one machine."""

from mimbench.benchmarking.comparison import compare
from mimbench.benchmarking.compilation import compare_compiled
from mimbench.benchmarking.counting import Counts, count_step
from mimbench.benchmarking.loading import compare_loading
from mimbench.benchmarking.machine import machine_facts
from mimbench.benchmarking.memory import compare_memory
from mimbench.benchmarking.peer import TransformersProcess, TransformersStep, peer_sizes
from mimbench.benchmarking.search import fastest_batch
from mimbench.benchmarking.startup import measure_startup
from mimbench.benchmarking.step import DTYPES, MethodStep, Setting
from mimbench.benchmarking.turns import median_ratio, take_turns

__all__ = [
    "DTYPES",
    "Counts",
    "MethodStep",
    "Setting",
    "TransformersProcess",
    "TransformersStep",
    "compare",
    "compare_compiled",
    "compare_loading",
    "compare_memory",
    "count_step",
    "fastest_batch",
    "machine_facts",
    "measure_startup",
    "median_ratio",
    "peer_sizes",
    "take_turns",
]

"""Measurement of training speed; ratios compare candidates within one run on one machine."""

from mimbench.benchmarking.comparison import compare
from mimbench.benchmarking.compilation import compare_compiled
from mimbench.benchmarking.counting import Counts, count_step
from mimbench.benchmarking.interleave import measure_interleaved, median_ratio
from mimbench.benchmarking.loading import compare_loading
from mimbench.benchmarking.machine import describe_machine
from mimbench.benchmarking.memory import compare_memory
from mimbench.benchmarking.search import fastest_batch
from mimbench.benchmarking.startup import measure_startup
from mimbench.benchmarking.step import DTYPES, MethodStep, Setting
from mimbench.benchmarking.transformers_mae import TransformersProcess, TransformersStep, transformers_sizes

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
    "describe_machine",
    "fastest_batch",
    "measure_interleaved",
    "measure_startup",
    "median_ratio",
    "transformers_sizes",
]

"""Stage 1: the tests that compute on a device, one selection per check."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.gpu.checks import Check, Setting, SkipCheck

ROOT = Path(__file__).parents[2]
GOLDEN = "tests/golden"
STEPS, COMMANDS, TRAINING = (f"tests/gpu/test_{name}.py" for name in ("steps", "commands", "training"))


@dataclass(frozen=True)
class Selection:
    """Tests of a file or folder.

    Attributes:
        words: An expression as for pytest's -k; empty for all.
        rehearsed: The expression in a rehearsal.
    """

    path: str
    words: str = ""
    rehearsed: str = "mae and not crossmae"


SELECTIONS = {
    "golden cases in fp64": (Selection(GOLDEN, "float64", "float64 and test_loss and mae_normpix"), 60),
    "golden cases in fp32": (Selection(GOLDEN, "float32", "float32 and test_loss and mae_normpix"), 60),
    "golden files otherwise": (Selection(GOLDEN, "not float64 and not float32", "every_parameter and mae_normpix"), 60),
    "fp64 and fp32 steps equal a CPU's": (Selection(STEPS, "of_a_cpu", "of_a_cpu and mae"), 40),
    "bf16 within 2 % of fp32": (Selection(STEPS, "in_bf16", "in_bf16 and mae"), 30),
    "no wait for the host in a step": (Selection(STEPS, "host_never_waits", "host_never_waits and mae"), 40),
    "checkpointing saves memory": (Selection(STEPS, "saves_memory", "saves_memory"), 20),
    "compiled in place": (Selection(STEPS, "compiled", "nothing"), 100),
    "exact resume": (Selection(TRAINING, "resumed", "resumed and 32-true"), 30),
    "DDP and FSDP2 with one rank": (Selection(TRAINING, "one_rank", "one_rank and ddp"), 40),
    "out of memory in one line": (Selection(TRAINING, "does_not_fit", "does_not_fit"), 30),
    "bf16 runs repeat themselves": (Selection(COMMANDS, "bf16", "nothing"), 60),
    "two runs share the GPU": (Selection(COMMANDS, "two_runs", "nothing"), 60),
    "steps and memory are measured": (Selection(COMMANDS, "measured or compared", "nothing"), 60),
}


def checks(setting: Setting) -> list[Check]:
    """One check per selection."""
    return [
        Check(name, partial(run_tests, selection=selection), 0 if setting.rehearsal else seconds)
        for name, (selection, seconds) in SELECTIONS.items()
    ]


@dataclass
class Counter:
    """A pytest plugin that counts.

    Attributes:
        failed: Identifiers of failed tests.
    """

    passed: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed.append(report.nodeid)
        elif report.skipped:
            self.skipped += 1
        elif report.when == "call":
            self.passed += 1


def run_tests(setting: Setting, selection: Selection) -> Mapping[str, Any]:
    """Runs a selection in this process.

    Raises:
        AssertionError: A test failed, or none was selected.
        SkipCheck: No test of the selection applies, or it is not rehearsed.
    """
    try:
        import pytest
    except ModuleNotFoundError:
        raise SkipCheck("pytest is not installed") from None
    words = selection.rehearsed if setting.rehearsal else selection.words
    if words == "nothing":
        raise SkipCheck("not rehearsed: `make test-gpu` and the test suite run it")
    os.chdir(ROOT)
    # The options of pyproject.toml need beartype, and make errors of a machine's warnings.
    options = ["-o", "addopts=--import-mode=importlib", "-W", "default", "-p", "no:cacheprovider", "-q", "--tb=short"]
    counter = Counter()
    status = pytest.main([*options, selection.path, "--device", setting.device, "-k", words], plugins=[counter])
    if counter.failed or status not in (pytest.ExitCode.OK,):
        raise AssertionError(f"{len(counter.failed)} failed (pytest: {status}): {', '.join(counter.failed)[:800]}")
    if not counter.passed:
        raise SkipCheck(f"{counter.skipped} tests do not apply to this device")
    return {"tests": counter.passed, "skipped": counter.skipped}

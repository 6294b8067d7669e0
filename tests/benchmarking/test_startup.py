"""Measurement of the start of processes."""

import pytest

from mimbench.benchmarking.markdown import sections
from mimbench.benchmarking.startup import watch

MACHINE = {"date": "", "processor": "", "cores": 2, "threads": 1, "clock": "wall", "device": "CPU", "load": 0.1}
VERSIONS = {"torch": "2", "timm": "1", "python": "3"}


def test_the_first_step_is_timed_separately_from_the_end() -> None:
    code = "import time; print('step 1/3', flush=True); time.sleep(0.2); print('step 2/3'); print('step 1/3')"
    start = watch(["-S", "-c", code])
    assert start.first_step is not None
    assert 0 < start.first_step <= start.seconds - 0.2


def test_a_process_without_steps_has_no_first_one() -> None:
    assert watch(["-S", "-c", "print('nothing')"]).first_step is None


def test_a_waiting_process_costs_time_but_no_cpu_time() -> None:
    start = watch(["-S", "-c", "import time; time.sleep(0.5)"])
    assert start.cpu_seconds < 0.5 <= start.seconds


def test_a_process_that_fails_raises_an_error() -> None:
    with pytest.raises(RuntimeError, match="no more"):
        watch(["-S", "-c", "raise SystemExit('no more')"])


def test_the_page_shows_both_times() -> None:
    rows = [{"name": "python", "first_step": None, "seconds": 0.1, "cpu_seconds": 0.2}]
    rows.append({"name": "a run", "first_step": 6.54, "seconds": 9.87, "cpu_seconds": 11.1})
    result = {"arguments": "", "run": "mimbench run", "rows": rows, "machine": MACHINE | VERSIONS}
    [text] = sections({"startup": result})
    assert [cell.strip() for cell in text.splitlines() if "a run" in cell for cell in cell.split("|")][1:-1] == [
        "a run",
        "6.5",
        "9.9",
        "11.1",
    ]

"""A task of a SLURM job: log, exit status and requeueing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[[str, str], Path]

# Calls a task in a new process, as submitit does.
TASK = "import sys; from pathlib import Path; from mimbench.experiments.launch.slurm_task import SlurmTask as T\n"
TASK += "T([sys.executable, '-S', '-E', '-c', sys.argv[1]], Path(sys.argv[2]), 2)()"
# Like a run, stops after a signal with the status of an interruption.
STOPS = "import signal, sys; signal.signal(signal.SIGUSR2, lambda *_: sys.exit(130)); print('ready', flush=True); "
WAITS = STOPS + "signal.pause()"
FINISHES = "import signal; s = []; signal.signal(signal.SIGUSR2, lambda *_: s.append(1)); print('ready', flush=True); "
FINISHES += "signal.pause(); print('done')"


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., subprocess.Popen[bytes]]:
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)

    def make(code: str, **variables: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {"SLURM_JOB_ID": "12"} | variables
        command = [sys.executable, "-c", TASK, code, str(tmp_path / "run" / "log.txt")]
        return subprocess.Popen(command, env=environment, start_new_session=True)

    return make


def signal_stop(process: subprocess.Popen[bytes], log: Path) -> int:
    """Sends SIGUSR2 to the task and its command, as SLURM does; returns the exit status."""
    deadline = time.monotonic() + 30
    while not (log.exists() and "ready" in log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGUSR2)
    return process.wait(30)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "run" / "log.txt"


def test_output_is_logged_and_the_status_is_that_of_the_command(
    start: Callable[..., subprocess.Popen[bytes]], log: Path
) -> None:
    assert start("print('out'); raise SystemExit(3)").wait(30) == 3
    assert log.read_text() == "out\n"
    assert start("print('more')", SLURM_PROCID="1").wait(30) == 0
    assert log.with_name("log.rank1.txt").read_text() == "more\n"


def test_a_stopped_run_is_requeued(start: Callable[..., subprocess.Popen[bytes]], log: Path, command: Command) -> None:
    calls = command("scontrol", "")
    assert signal_stop(start(WAITS), log) == 0
    assert calls.read_text() == "requeue 12\n"
    assert "job 12 is requeued" in log.read_text()


def test_only_the_element_of_an_array_is_requeued(
    start: Callable[..., subprocess.Popen[bytes]], log: Path, command: Command
) -> None:
    calls = command("scontrol", "")
    signal_stop(start(WAITS, SLURM_ARRAY_JOB_ID="12", SLURM_ARRAY_TASK_ID="3"), log)
    assert calls.read_text() == "requeue 12_3\n"


def test_a_run_that_finishes_after_the_signal_is_not_requeued(
    start: Callable[..., subprocess.Popen[bytes]], log: Path, command: Command
) -> None:
    calls = command("scontrol", "")
    assert signal_stop(start(FINISHES), log) == 0
    assert not calls.exists()


def test_too_many_requeues_are_a_failure_in_the_log(
    start: Callable[..., subprocess.Popen[bytes]], log: Path, command: Command
) -> None:
    calls = command("scontrol", "")
    assert signal_stop(start(WAITS, SLURM_RESTART_COUNT="2"), log) == 1
    assert not calls.exists()
    assert "requeued 2 times" in log.read_text()


def test_a_requeue_that_slurm_rejects_is_a_failure_in_the_log(
    start: Callable[..., subprocess.Popen[bytes]], log: Path, command: Command
) -> None:
    command("scontrol", "echo 'Requested operation not permitted' >&2; exit 1")
    assert signal_stop(start(WAITS), log) == 1
    assert "did not requeue job 12: Requested operation not permitted" in log.read_text()


def test_only_the_first_rank_requeues(
    start: Callable[..., subprocess.Popen[bytes]], log: Path, command: Command
) -> None:
    calls = command("scontrol", "")
    assert signal_stop(start(WAITS, SLURM_PROCID="1"), log.with_name("log.rank1.txt")) == 0
    assert not calls.exists()

"""Forked jobs behave like started ones. See also `test_pool`."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mimbench.experiments.launch.fork import PYTHON, fork_server
from mimbench.experiments.launch.pool import Job, JobResult, Start, run_jobs, start_process

# Prints what a process can observe of its own state.
STATE = """
import atexit, os, signal, sys, threading
print(__name__, sys.argv[1:], os.getcwd(), os.getpgid(0) == os.getsid(0) == os.getpid())
print(sys.modules["__main__"].__dict__ is globals(), __spec__.name, sys.path, sys.stdin.read() == "")
print(*(signal.getsignal(number) for number in signal.valid_signals()), signal.pthread_sigmask(0, []))
print([os.readlink(f"/proc/self/fd/{number}") for number in (0, 1, 2)], sorted(os.listdir("/proc/self/fd")))
print(sorted(item for item in os.environ.items()), threading.current_thread() is threading.main_thread())
print(sys.flags, sys.stdout.write_through, sys.warnoptions)
atexit.register(print, "bye")
"""
BY_PROCESS = """
import sys
from mimbench.experiments.launch.pool import Job, run_jobs
from mimbench.experiments.launch.fork import PYTHON, fork_server
if __name__ == "__main__":
    from pathlib import Path
    with fork_server("os:getpid", {}) as start:
        run_jobs([Job("a", [*PYTHON, "slow"], Path("log.txt"))], 1, lambda slot: {}, lambda *_: None, start=start)
"""
SLOW = "import os, time; print(os.getppid(), flush=True); time.sleep(1); print('done')"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Job]:
    """Makes a job that runs code as a module."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)

    def make(name: str, code: str, *arguments: str) -> Job:
        (tmp_path / f"{name}.py").write_text(code)
        return Job(name, [*PYTHON, name, *arguments], tmp_path / f"{name}.txt")

    return make


def run(jobs: Sequence[Job], start: Start, report: Callable[..., None] = lambda *_: None) -> list[JobResult]:
    return run_jobs(jobs, 1, lambda slot: {"SLOT": str(slot)}, report, interval=0.0, start=start)


def test_a_forked_job_has_the_process_state_of_a_started_one(module: Callable[..., Job]) -> None:
    job = module("state", STATE, "--some", "values=[1, 2]")
    states = []
    with fork_server("os:getpid", {}) as forking:
        for start in (forking, start_process):
            assert [result.returncode for result in run([job], start)] == [0]
            states.append(job.log.read_text())
            job.log.unlink()
    assert states[0] == states[1]
    assert states[0].endswith("bye\n")


def test_a_forked_job_shares_the_objects_of_the_server(module: Callable[..., Job]) -> None:
    module("warm", "import os\nmade = []\ndef up():\n    made.append(os.getpid())\n")
    jobs = [module(name, "import os, warm; print(warm.made == [os.getppid()])") for name in ("one", "two")]
    with fork_server("warm:up", {}) as start:
        run(jobs, start)
    assert [job.log.read_text() for job in jobs] == ["True\n", "True\n"]


@pytest.mark.parametrize(("end", "status", "output"), [("0", 0, ""), ("7", 7, ""), ("'why'", 1, "why\n")])
def test_a_job_that_exits_runs_its_exit_handlers_and_keeps_its_status(
    module: Callable[..., Job], end: str, status: int, output: str
) -> None:
    job = module("one", f"import atexit, sys; atexit.register(print, 'bye'); sys.exit({end})")
    with fork_server("os:getpid", {}) as start:
        [result] = run([job], start)
    assert result.returncode == status
    assert job.log.read_text() == f"{output}bye\n"


def test_the_server_has_the_variables_of_the_jobs_when_it_imports(module: Callable[..., Job]) -> None:
    module("warm", "import os\nTHREADS = os.environ['THREADS']\ndef up():\n    pass\n")
    job = module("one", "import warm; print(warm.THREADS)")
    with fork_server("warm:up", {"THREADS": "3"}) as start:
        run([job], start)
    assert job.log.read_text() == "3\n"


def test_an_error_in_a_forked_job_is_in_its_log(module: Callable[..., Job]) -> None:
    job = module("broken", "raise ValueError('a message')")
    with fork_server("os:getpid", {}) as start:
        [result] = run([job], start)
    assert result.returncode == 1
    assert job.log.read_text().endswith("ValueError: a message\n")


def test_jobs_are_started_if_the_server_fails(module: Callable[..., Job], capfd: pytest.CaptureFixture[str]) -> None:
    job = module("one", "print('done')")
    with fork_server("no_such_module:at_all", {}) as start:
        assert all(result.ok for result in run([job], start))
    assert job.log.read_text() == "done\n"
    assert "no_such_module" in capfd.readouterr().err


def test_a_job_whose_server_is_killed_is_killed_and_the_next_one_is_started(module: Callable[..., Job]) -> None:
    jobs = [module("one", SLOW.replace("sleep(1)", "sleep(60)")), module("two", "print('done')")]

    def kill(results: Sequence[JobResult], running: Sequence[Job], total: int) -> None:
        if not results and (pid := jobs[0].log.read_text().split()):
            os.kill(int(pid[0]), signal.SIGKILL)

    with fork_server("os:getpid", {}) as start:
        codes = [result.returncode for result in run(jobs, start, kill)]
    assert codes == [-signal.SIGKILL, 0]
    assert jobs[1].log.read_text() == "done\n"


def test_the_server_of_a_killed_sweep_ends_and_the_jobs_continue(module: Callable[..., Job], tmp_path: Path) -> None:
    module("slow", SLOW)
    module("sweep", BY_PROCESS)
    log = tmp_path / "log.txt"
    with subprocess.Popen([sys.executable, "-m", "sweep"], cwd=tmp_path) as sweep:
        server = int(_wait(lambda: log.exists() and log.read_text()))
        sweep.kill()
    _wait(lambda: _gone(server))
    _wait(lambda: log.read_text().split()[1:] == ["done"])


def test_the_server_ends_with_its_context(module: Callable[..., Job]) -> None:
    job = module("one", "import os; print(os.getppid())")
    with fork_server("os:getpid", {}) as start:
        run([job], start)
    assert _gone(int(job.log.read_text()))


def _gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def _wait(condition: Callable[[], object], seconds: float = 20.0) -> str:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return str(found)

"""A pool of jobs: a given number at a time, independent of each other. Every test runs with both kinds of start."""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from mimbench.experiments.launch.fork import PYTHON, fork_server
from mimbench.experiments.launch.pool import Job, JobResult, run_jobs, start_process

# Prints when it is ready, and on SIGINT that it has saved, which a killed job does not print.
PATIENT = """
import signal, sys, time
def stop(*_): print("saved", flush=True); sys.exit(130)
signal.signal(signal.SIGINT, stop)
print("ready", flush=True)
time.sleep(60)
"""
STUBBORN = PATIENT.replace("stop)", "signal.SIG_IGN)")


Run = Callable[..., list[JobResult]]


@pytest.fixture(params=["started", "forked"])
def how(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def run(how: str) -> Run:
    """`run_jobs` with started or forked jobs."""

    def call(*args: Any, **options: Any) -> list[JobResult]:
        with nullcontext(start_process) if how == "started" else fork_server("os:getpid", {}) as start:
            return run_jobs(*args, **options, start=start)

    return call


@pytest.fixture
def job(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Job]:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)

    def make(name: str, code: str) -> Job:
        # Without site-packages, since their import takes longer than the test.
        command = [sys.executable, "-S", "-E", "-c", code]
        if how == "forked":
            (tmp_path / f"job_{name}.py").write_text(code)
            command = [*PYTHON, f"job_{name}"]
        return Job(name, command, tmp_path / name / "log.txt")

    return make


def nothing(slot: int) -> dict[str, str]:
    return {}


def silent(results: Sequence[JobResult], running: Sequence[Job], total: int) -> None:
    return


def when_ready(logs: Sequence[Path], action: Callable[[], None]) -> Callable[..., None]:
    """A report that calls an action once all logs contain "ready"."""
    done: list[bool] = []

    def report(results: Sequence[JobResult], running: Sequence[Job], total: int) -> None:
        if not done and all(log.exists() and "ready" in log.read_text() for log in logs):
            done.append(True)
            action()

    return report


def interrupt() -> None:
    raise KeyboardInterrupt


def test_all_jobs_run_and_their_output_is_logged(run: Run, job: Callable[[str, str], Job]) -> None:
    jobs = [job(str(i), f"import sys; print('out {i}'); print('err {i}', file=sys.stderr)") for i in range(3)]
    results = run(jobs, 2, nothing, silent)
    assert sorted(result.job.name for result in results) == ["0", "1", "2"]
    assert all(result.ok for result in results)
    assert sorted(jobs[1].log.read_text().splitlines()) == ["err 1", "out 1"]


def test_as_many_jobs_as_slots_run_at_a_time_each_in_its_own_slot(
    run: Run, job: Callable[[str, str], Job], tmp_path: Path
) -> None:
    code = (
        "import os, pathlib, time\n"
        f"taken = pathlib.Path({str(tmp_path)!r}) / ('slot' + os.environ['SLOT'])\n"
        "taken.touch(exist_ok=False)\n"
        "print(len(list(taken.parent.glob('slot*'))), flush=True)\n"
        "time.sleep(0.3)\n"
        "taken.unlink()\n"
    )
    jobs = [job(str(i), code) for i in range(4)]
    results = run(jobs, 2, lambda slot: {"SLOT": str(slot)}, silent)
    assert all(result.ok for result in results)
    counts = [int(each.log.read_text()) for each in jobs]
    assert max(counts) == 2


def test_a_crash_and_a_kill_do_not_affect_other_jobs(run: Run, job: Callable[[str, str], Job]) -> None:
    jobs = [
        job("crash", "raise SystemExit(3)"),
        job("kill", "import os; os.kill(os.getpid(), 9)"),
        job("slow", "import time; time.sleep(0.5); print('done')"),
        job("later", "print('done')"),
    ]
    codes = {result.job.name: result.returncode for result in run(jobs, 2, nothing, silent)}
    assert codes == {"crash": 3, "kill": -signal.SIGKILL, "slow": 0, "later": 0}
    assert jobs[2].log.read_text() == jobs[3].log.read_text() == "done\n"


def test_a_job_that_cannot_start_has_failed(
    run: Run, job: Callable[[str, str], Job], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = Job("missing", [str(tmp_path / "no-such-program")], tmp_path / "missing" / "log.txt")
    codes = [result.returncode for result in run([missing, job("other", "")], 1, nothing, silent)]
    assert codes == [127, 0]
    assert "missing could not be started" in capsys.readouterr().err


def test_an_interrupt_is_passed_on_and_no_further_job_starts(run: Run, job: Callable[[str, str], Job]) -> None:
    jobs = [job(name, PATIENT) for name in ("one", "two", "three")]
    with pytest.raises(KeyboardInterrupt):
        run(jobs, 2, nothing, when_ready([j.log for j in jobs[:2]], interrupt), interval=0.0)
    assert [j.log.read_text().split() for j in jobs[:2]] == [["ready", "saved"]] * 2
    assert not jobs[2].log.exists()


def test_a_termination_of_the_sweep_reaches_its_jobs(run: Run, job: Callable[[str, str], Job]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    one = job("one", PATIENT)
    with pytest.raises(KeyboardInterrupt):
        run([one], 1, nothing, when_ready([one.log], lambda: os.kill(os.getpid(), signal.SIGTERM)), interval=0.0)
    assert one.log.read_text().split() == ["ready", "saved"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_second_interrupt_kills_jobs_that_do_not_stop(
    run: Run, job: Callable[[str, str], Job], capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [job(name, STUBBORN) for name in ("one", "two")]

    def twice() -> None:
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        interrupt()

    former = signal.getsignal(signal.SIGALRM)
    start = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            run(jobs, 2, nothing, when_ready([j.log for j in jobs], twice), interval=0.0)
    finally:
        signal.signal(signal.SIGALRM, former)
    assert time.monotonic() - start < 10
    assert capsys.readouterr().err.count("was killed") == 2


def test_an_error_in_the_parent_stops_the_jobs(run: Run, job: Callable[[str, str], Job]) -> None:
    one = job("one", PATIENT)

    def broken() -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run([one], 1, nothing, when_ready([one.log], broken), interval=0.0)
    assert one.log.read_text().split() == ["ready", "saved"]


def test_jobs_have_the_variables_of_their_slot_and_no_rank_variables(
    run: Run, job: Callable[[str, str], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = (
        "LOCAL_RANK",
        "RANK",
        "WORLD_SIZE",
        "MASTER_ADDR",
        "MASTER_PORT",
        "NODE_RANK",
        "SLURM_NTASKS",
        "PL_GLOBAL_SEED",
    )
    for name in foreign:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("KEPT", "yes")
    one = job("one", "import os; print(*sorted(os.environ), os.environ['GPU'])")
    run([one], 1, lambda slot: {"GPU": "7"}, silent)
    *names, gpu = one.log.read_text().split()
    assert gpu == "7"
    assert "KEPT" in names
    assert not set(foreign) & set(names)


def test_jobs_have_their_own_process_group(run: Run, job: Callable[[str, str], Job]) -> None:
    one = job("one", "import os; print(os.getpgid(0) == os.getpid())")
    run([one], 1, nothing, silent)
    assert one.log.read_text() == "True\n"


def test_a_second_attempt_appends_to_the_log(run: Run, job: Callable[[str, str], Job]) -> None:
    for word in ("first", "second"):
        run([job("one", f"print('{word}')")], 1, nothing, silent)
    assert job("one", "").log.read_text() == "first\nsecond\n"


def test_a_job_that_another_process_works_on_is_left_for_the_end(
    run: Run, job: Callable[[str, str], Job], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = list[str]()

    def taken(each: Job) -> bool:
        asked.append(each.name)
        return each.name == "first" and asked.count("first") < 40

    results = run([job(name, "") for name in ("first", "second", "third")], 1, nothing, silent, taken=taken)
    assert [result.job.name for result in results] == ["second", "third", "first"]
    assert all(result.ok for result in results)
    assert capsys.readouterr().out.count("Another process works on the remaining runs (1); waiting for it.") == 1


def test_of_two_processes_that_start_a_job_at_once_the_loser_waits(
    run: Run, job: Callable[[str, str], Job], tmp_path: Path
) -> None:
    """Its first attempt is refused while the other process has the lock; its second finds the result."""
    there = tmp_path / "result"
    code = f"import pathlib, sys; there = pathlib.Path({str(there)!r})\nsys.exit(0 if there.exists() else 2)"
    answers = iter([False, True, True])  # before the start, after the failure, once more

    def taken(each: Job) -> bool:
        if (answer := next(answers, None)) is None:
            there.touch()
            return False
        return answer

    (result,) = run([job("run", code)], 1, nothing, silent, taken=taken)
    assert result.ok


def test_reports_contain_results_running_jobs_and_the_total(run: Run, job: Callable[[str, str], Job]) -> None:
    reported: list[tuple[int, int, int]] = []
    jobs = [job(str(i), "") for i in range(2)]
    run(jobs, 1, nothing, lambda results, running, total: reported.append((len(results), len(running), total)))
    assert reported[-1] == (2, 0, 2)
    assert all(running <= 1 and total == 2 for _, running, total in reported)


def test_a_pool_without_slots_is_rejected(run: Run, job: Callable[[str, str], Job]) -> None:
    with pytest.raises(ValueError, match="at least one slot"):
        run([job("one", "")], 0, nothing, silent)

"""Machines with less than a run expects: one sentence with the remedy, status 1 or 2, and no traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.faults
TINY = (
    *("experiment=demo", "data=photos", "encoder.width=32", "encoder.depth=2", "method.dim=32", "method.num_heads=4"),
    *("budget=steps", "budget.steps=4", "callbacks.knn=null", "protocol=[knn]", "seed=0"),
)
CALL = f"{sys.executable} -P -m mimbench run {' '.join(TINY)}"


@pytest.fixture
def call(tmp_path: Path):
    """Runs a line of the shell in a mount namespace of its own; returns its status, output and errors."""
    if os.geteuid() != 0:
        message = "mounting small file systems needs root"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)

    def run(line: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"OMP_NUM_THREADS": "1"} | variables
        command = ["unshare", "--mount", "timeout", "300", "bash", "-c", line]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


def losses(folder: Path) -> dict[str, float]:
    (record,) = folder.glob("runs/*/*/record.json")
    values = json.loads(record.read_text())
    assert values["status"] == "finished"
    return {key: values["metrics"][key] for key in ("train/loss", "val/loss")}


def test_a_megabyte_of_shared_memory_is_enough(call, tmp_path: Path) -> None:
    done = call(f"mount -t tmpfs -o size=1M tmpfs /dev/shm && {CALL} data.num_workers=2")
    assert done.returncode == 0, done.stderr
    assert "batches of the loader processes; they are copied" in done.stderr
    small = losses(tmp_path)
    subprocess.run(["rm", "-r", str(tmp_path / "runs")], check=True)
    assert call(CALL).returncode == 0
    assert losses(tmp_path) == small


# What is done before the command, words of the command, its status and a part of its answer.
CASES = {
    "few open files": ("ulimit -n 24", "data.num_workers=2", 2, "more open files than the limit of 24"),
    "little address space": ("ulimit -v 3000000", "", 1, "A process may have 3.1 GB of addresses (ulimit -v)"),
    "very little address space": ("ulimit -v 1200000", "", 1, "not enough memory for PyTorch"),
    "a full cache": (
        "mkdir c && mount -t tmpfs -o size=100k tmpfs c",
        "paths.cache=c",
        2,
        "These features need 0.5 MB, 0.4 MB more than available in c",
    ),
    "a full disk": ("mkdir runs && mount -t tmpfs -o size=100k tmpfs runs", "", 1, "No space left on device"),
    "a full disk, in a sweep": (
        "mkdir runs && mount -t tmpfs -o size=4k tmpfs runs",
        "-m",
        1,
        "No space left on device",
    ),
    "a folder that cannot be written": (
        "mkdir r && mount -t tmpfs -o ro tmpfs r && cd r",
        "",
        2,
        "Read-only file system",
    ),
    "the same, in a sweep": ("mkdir r && mount -t tmpfs -o ro tmpfs r && cd r", "-m", 2, "Read-only file system"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_missing_is_said_in_a_sentence(call, case: str) -> None:
    before, words, status, answer = CASES[case]
    done = call(f"{before} && {CALL} {words}")
    said = done.stdout + done.stderr
    assert answer in said
    assert "Traceback" not in said
    assert done.returncode == status


@pytest.mark.parametrize(
    "before",
    [
        "unset HOME",
        "export HOME=/nonexistent",
        "export LANG=C LC_ALL=C",
        "umask 077",
        "export TERM=dumb",
        "exec <&-",
        "ulimit -n 64",
    ],
)
def test_other_surroundings_change_nothing(call, before: str, tmp_path: Path) -> None:
    done = call(f"{before}; {CALL} -m data.num_workers=1 seed=0,1 && {sys.executable} -P -m mimbench report runs/demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert (tmp_path / "runs" / "demo" / "report" / "report.html").is_file()


def test_a_clock_that_jumps_back_spoils_neither_times_nor_the_end(call, tmp_path: Path) -> None:
    jump = "import time; now = time.time; start = now(); time.time = lambda: now() - 7200 * (now() > start + 2)"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(jump)
    done = call(CALL.replace(" -P", ""), PYTHONPATH=os.pathsep.join((str(tmp_path / "site"), *sys.path)))
    assert done.returncode == 0, done.stderr
    (record,) = tmp_path.glob("runs/*/*/record.json")
    cost = json.loads(record.read_text())["cost"]
    assert 0 < cost["train_seconds"] < 300
    assert cost["images_per_second"] > 0

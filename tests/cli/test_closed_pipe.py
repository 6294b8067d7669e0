"""Commands whose reader closes the pipe, such as `mimbench list | head -1`, end silently with status 141."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[1] / "runs_0.1.0" / "demo"
CALLS = [
    ["--help"],
    ["--version"],
    ["run", "--help"],
    ["run", "--cfg", "job"],
    ["plan", "--help"],
    ["list", "experiments"],
    ["completion", "bash"],
    ["plan", "-m", "method=untrained", "seed=0,1,2", "data=digits"],
    ["status", str(DEMO)],
    ["runs", str(DEMO)],
    ["runs", str(DEMO), "--format", "csv"],
    ["bench", "--help"],
]


@pytest.mark.parametrize("buffered", [True, False], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: " ".join(call[:2])[:30])
def test_a_closed_pipe_is_no_traceback(call: list[str], buffered: bool, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    environment["PYTHONUNBUFFERED"] = "" if buffered else "1"
    done = subprocess.run(
        [sys.executable, "-m", "mimbench", *call],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    os.close(writing)
    assert done.stderr == ""
    ignored = not buffered and call[0] in ("plan", "bench") and call[1:] == ["--help"]
    assert done.returncode == (0 if ignored else 141)  # argparse ignores errors when it writes its help

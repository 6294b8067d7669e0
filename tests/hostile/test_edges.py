"""What no command expected is answered in one line, and with a traceback only on request."""

import subprocess
import sys
from pathlib import Path

import pytest

from mimbench.cli import main

ERRORS = {
    "memory": (MemoryError(), 1, "not enough memory"),
    "depth": (RecursionError("maximum recursion depth exceeded"), 2, "nested too deeply"),
    "a file": (
        PermissionError(13, "Permission denied", "/x/\x1b[31my"),
        2,
        "/x/\ufffd[31my cannot be read or written (Permission denied).",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_of_the_machine_are_one_line(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error, status, message = ERRORS[case]

    def fail(words: list[str]) -> int:
        raise error

    monkeypatch.setattr("mimbench.cli.status.main", fail)
    assert main(["status", "x"]) == status
    said = capsys.readouterr().err
    assert message in said
    assert len(said.strip().splitlines()) == 1
    monkeypatch.setenv("MIMBENCH_DEBUG", "1")
    with pytest.raises(type(error)):
        main(["status", "x"])


def test_a_reader_that_leaves_early_gets_no_traceback(sweep: Path) -> None:
    command = f"{sys.executable} -m mimbench status {sweep} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr

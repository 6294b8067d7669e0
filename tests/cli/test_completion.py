"""`mimbench completion` in bash, zsh and fish, as these shells call it."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mimbench.cli import COMMANDS
from mimbench.cli.completion import candidates

PROMPT = b"ready> "


def shell(name: str) -> pytest.MarkDecorator:
    """Skips a test without this shell, which fails where MIMBENCH_REQUIRE_SHELLS=1."""
    missing = shutil.which(name) is None and not os.environ.get("MIMBENCH_REQUIRE_SHELLS")
    return pytest.mark.skipif(missing, reason=f"needs {name}")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Variables with which shells find `mimbench`."""
    program = tmp_path / "mimbench"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mimbench "$@"\n')
    program.chmod(0o755)
    source = str(Path(__file__).parents[2] / "src")
    paths = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": source, "HOME": str(tmp_path)}
    return os.environ | paths | {"TERM": "dumb", "ZDOTDIR": str(tmp_path)}


@pytest.fixture
def complete(environment: dict[str, str], tmp_path: Path) -> object:
    """What bash offers for a line, with the cursor at its end."""

    def call(line: str) -> list[str]:
        script = (
            'eval "$(mimbench completion bash)"\n'
            f"COMP_LINE='{line}' COMP_POINT={len(line)}\n"
            "$(complete -p mimbench | sed 's/.*-F \\([^ ]*\\) .*/\\1/')\n"
            'printf "%s\\n" "${COMPREPLY[@]}"\n'
        )
        done = subprocess.run(
            ["bash", "--norc", "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
        return done.stdout.split()

    return call


@shell("bash")
def test_bash_completes_commands_groups_options_and_keys(complete) -> None:
    assert complete("mimbench ") == sorted(COMMANDS)
    assert complete("mimbench re") == ["report", "retry"]
    assert "method=" in complete("mimbench run m")
    # bash replaces only what follows the last =.
    assert complete("mimbench run method=mi") == ["mirl"]
    assert complete("mimbench run -m method=mae,mi") == ["mae,mirl"]
    assert complete("mimbench run optim.base") == ["optim.base_lr="]


@shell("fish")
def test_fish_completes_commands_groups_options_keys_and_files(environment: dict[str, str], tmp_path: Path) -> None:
    lines = {
        "mimbench re": ["report", "retry"],
        "mimbench run method=mi": ["method=mirl"],
        "mimbench run -m method=mae,mi": ["method=mae,mirl"],
        "mimbench run optim.base": ["optim.base_lr="],
        "mimbench report mim": ["mimbench"],
    }
    script = "mimbench completion fish | source; " + "; echo ==; ".join(f"complete -C '{line}'" for line in lines)
    done = subprocess.run(
        ["fish", "--no-config", "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = [[line.split("\t")[0] for line in part.splitlines()] for part in done.stdout.split("==\n")]
    assert found == list(lines.values())


@shell("zsh")
def test_zsh_completes_a_line_when_tab_is_pressed(environment: dict[str, str], tmp_path: Path) -> None:
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(tmp_path)
        os.execvpe("zsh", ["zsh", "-f", "-i"], environment)

    def after(typed: bytes, expected: bytes) -> bool:
        """Whether the terminal shows `expected` within half a minute."""
        os.write(terminal, typed)
        shown, end = b"", time.monotonic() + 30
        while expected not in shown and time.monotonic() < end:
            if select.select([terminal], [], [], 0.2)[0]:
                shown += os.read(terminal, 1 << 16)
        return expected in shown

    try:
        assert after(b'setopt no_beep; PROMPT=\'ready\'"> "; eval "$(mimbench completion zsh)"\n', PROMPT)
        for line, completed in {
            b"mimbench run method=mi": b"method=mirl ",
            b"mimbench run -m method=mae,mi": b"method=mae,mirl ",
            b"mimbench run optim.base": b"optim.base_lr=",
            b"mimbench comple": b"mimbench completion ",
        }.items():
            assert after(line + b"\t", completed), line
            assert after(b"\x15\n", PROMPT)  # clears the line
    finally:
        os.close(terminal)
        os.waitpid(process, 0)


def test_options_of_lists_are_completed_behind_the_comma() -> None:
    assert candidates(["run", "protocol=[knn,linear_"]) == ["protocol=[knn,linear_mae", "protocol=[knn,linear_v2"]


def test_keys_are_those_of_the_options_chosen_before() -> None:
    assert candidates(["run", "encoder.win"]) == []
    assert candidates(["run", "encoder=swin_tiny", "encoder.win"]) == ["encoder.window="]
    assert candidates(["plan", "op"]) == ["optim.", "optim="]
    assert candidates(["plan", "+abl"]) == ["+ablation="]


def test_other_commands_complete_their_own_words() -> None:
    assert candidates(["list", "enc"]) == ["encoders"]
    assert candidates(["weights", "i"]) == ["import", "inspect"]
    assert candidates(["plan", "--im"]) == ["--images", "--images-per-second"]
    assert candidates(["report", "runs/"]) == []  # bash completes files


def test_a_half_written_line_has_no_errors() -> None:
    assert candidates(["run", "method=nope", "bud"]) == ["budget.", "budget="]

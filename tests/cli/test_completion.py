"""`mimbench completion` in bash, as bash calls it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mimbench.cli import COMMANDS
from mimbench.cli.completion import candidates

bash = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


@pytest.fixture
def complete(tmp_path: Path) -> object:
    """What bash offers for a line, with the cursor at its end."""
    program = tmp_path / "mimbench"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mimbench "$@"\n')
    program.chmod(0o755)
    source = str(Path(__file__).parents[2] / "src")
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": source}

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


@bash
def test_bash_completes_commands_groups_options_and_keys(complete) -> None:
    assert complete("mimbench ") == sorted(COMMANDS)
    assert complete("mimbench re") == ["report", "retry"]
    assert "method=" in complete("mimbench run m")
    # bash replaces only what follows the last =.
    assert complete("mimbench run method=mi") == ["mirl"]
    assert complete("mimbench run -m method=mae,mi") == ["mae,mirl"]
    assert complete("mimbench run optim.base") == ["optim.base_lr="]


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

"""Sweeps as users start and stop them: twice at once, with arguments in any order, and stopped before they begin."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mimbench.cli import main

TINY = [
    *("experiment=demo", "data=digits", "encoder.width=32", "method.dim=32", "method.num_heads=4"),
    *("budget=steps", "budget.steps=5", "callbacks.knn=null", "seed=0,1"),
]
COMMAND = [sys.executable, "-P", "-m", "mimbench", "run"]


def started(words: list[str], folder: Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([*COMMAND, *words], cwd=folder, stdout=pipe, stderr=pipe, text=True)


def test_two_identical_sweeps_at_once_share_the_work(tmp_path: Path) -> None:
    sweeps = [started(["-m", *TINY, "protocol=[knn]", "hydra.launcher.slots=1"], tmp_path) for _ in range(2)]
    ended = [sweep.communicate(timeout=500) for sweep in sweeps]
    assert [sweep.returncode for sweep in sweeps] == [0, 0], ended
    for out, error in ended:
        assert out.count("] done ") == 2 or "finished before" in out
        assert "FAILED" not in out + error
    logs = [log.read_text() for log in tmp_path.glob("runs/demo/*/log.txt")]
    assert [log.count("step 1/5") for log in logs] == [1, 1]  # none was trained twice


@pytest.mark.parametrize("words", [["-m", *TINY], [*TINY[:2], "-m", *TINY[2:]], [*TINY, "--multirun"]])
def test_m_may_stand_anywhere_and_protocols_may_be_none(tmp_path: Path, words: list[str]) -> None:
    sweep = started([*words, "protocol=[]", "budget.steps=1"], tmp_path)
    out, error = sweep.communicate(timeout=500)
    assert sweep.returncode == 0, error
    assert "2 runs in runs/demo" in out
    assert "protocols" not in out


@pytest.mark.parametrize("words", [["--cfg", "job"], ["--cfg=job"], ["-c", "job", "--package", "budget"]])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_options_may_stand_anywhere_and_a_chosen_budget_replaces_that_of_the_experiment(
    words: list[str], place: int, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = ["experiment=demo", "budget=steps", "budget.steps=3"]
    assert main(["run", *overrides[:place], *words, *overrides[place:]]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown.get("budget", shown) == {"epochs": None, "steps": 3}


@pytest.mark.parametrize("module", ["mimbench.cli", "hydra"])
def test_an_interrupt_while_the_command_is_imported_is_one_line(tmp_path: Path, module: str) -> None:
    code = f"""
import builtins, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process would ignore it
plain = builtins.__import__
def interrupting(name, *more, **options):
    if name == {module!r}:
        os.kill(os.getpid(), signal.SIGINT)
    return plain(name, *more, **options)
builtins.__import__ = interrupting
from mimbench.__main__ import main
sys.argv = ["mimbench", "run", "experiment=demo"]
sys.exit(main())
"""
    ended = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 130
    assert "Interrupted." in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())

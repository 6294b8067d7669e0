"""Processes of a sweep import nothing from the working directory."""

import os
import subprocess
import sys
from pathlib import Path

from mimbench.experiments.launch.fork import PYTHON
from mimbench.experiments.launch.pool import drop_rank_variables

# What the caller's shell makes importable is the caller's choice, and no part of these tests.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def test_a_module_in_the_working_directory_is_not_imported(tmp_path: Path) -> None:
    plugins = tmp_path / "hydra_plugins" / "stranger"
    plugins.mkdir(parents=True)
    (plugins / "__init__.py").write_text("open('marker', 'w').close()")
    (tmp_path / "torch.py").write_text("open('marker', 'w').close()")
    words = ["mimbench", "run", "method=untrained", "encoder.depth=0"]  # discovers plug-ins, then refuses the depth
    for path in ({}, {"PYTHONPATH": os.pathsep}):  # an empty entry is what a shell makes of an unset variable
        variables = drop_rank_variables(ENVIRONMENT | path)
        subprocess.run([*PYTHON, *words], cwd=tmp_path, env=variables, capture_output=True, check=False)
    assert not (tmp_path / "marker").exists()
    (tmp_path / "probe.py").write_text("open('marker', 'w').close()")
    subprocess.run([sys.executable, "-m", "probe"], cwd=tmp_path, env=ENVIRONMENT, check=True)
    assert (tmp_path / "marker").exists()  # without -P it would have been


def test_processes_that_a_run_starts_inherit_the_protection(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text("open('marker', 'w').close()")
    code = "from mimbench.cli import main; main(['--version']); import subprocess, sys; "
    code += "subprocess.run([sys.executable, '-m', 'probe'], capture_output=True)"
    subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, env=ENVIRONMENT, check=True)
    assert not (tmp_path / "marker").exists()

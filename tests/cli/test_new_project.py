"""A repository made by `mimbench new-project`, from the first command to the report, with nothing edited."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from mimbench.cli import main
from mimbench.cli.new_project import package_name
from mimbench.core.errors import UserError
from mimbench.experiments.plugins import VARIABLE

# A name that no other test imports.
NAME = "leaf_lab"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    assert main(["new-project", "leaf-lab"]) == 0
    yield tmp_path / "leaf-lab"
    for module in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[module]
    GlobalHydra.instance().clear()


def call(*words: str) -> int:
    GlobalHydra.instance().clear()
    return main(words)


def python(*words: str, cwd: Path, path: str) -> None:
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_installed_tested_planned_swept_retried_evaluated_and_reported(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "site"
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(site)]))
    install = ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target"]
    python(*install, str(site), str(project), cwd=tmp_path, path=path)
    python("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=project, path=path)
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.syspath_prepend(str(site))
    words = ["experiment=first", "method=untrained,mae,half_way", "budget.epochs=1", "protocol=[knn]"]
    assert call("plan", "-m", *words, "--json", "plan.json") == 0
    plan = json.loads(Path("plan.json").read_text())
    assert {run["axes"]["method"] for run in plan["runs"]} == {"untrained", "mae", "half_way"}
    assert call("run", "-m", *words) == 0
    runs = {path.name.partition("-")[0]: path for path in Path("runs/first").glob("*-*")}
    assert set(runs) == {"untrained", "mae", "half_way"}
    record = json.loads((runs["half_way"] / "record.json").read_text())
    assert record["environment"]["plugins"] == {NAME: "0.1.0"}
    (runs["half_way"] / "record.json").write_text(json.dumps(record | {"status": "failed"}))
    assert call("retry", "runs/first") == 0
    assert call("evaluate", *map(str, runs.values()), "protocol=layerwise") == 0
    for run in runs.values():
        metrics = json.loads((run / "record.json").read_text())["metrics"]
        assert {"knn-v1", "layerwise-v1"} <= metrics.keys()
        assert 0 < metrics["knn-v1"]["accuracy"] <= 1
    capsys.readouterr()
    assert call("report", "runs/first") == 0
    assert "3 of 3 runs finished" in capsys.readouterr().out
    assert "half_way" in (Path("runs/first") / "report" / "report.html").read_text()


def test_it_works_uninstalled_by_the_folder(project: Path) -> None:
    conf = str(project / NAME / "conf")
    assert call("plan", "--config-dir", conf, "experiment=first", "method=half_way", "--json", "plan.json") == 0
    [run] = json.loads(Path("plan.json").read_text())["runs"]
    assert (run["axes"]["data"], run["state"]) == ("stripes", "planned")


def test_nothing_of_the_template_keeps_its_name(project: Path) -> None:
    files = [path for path in project.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {".gitignore", "pyproject.toml", "half_way.yaml", "stripes.yaml"}
    assert not any("my_lab" in str(path.relative_to(project)) or "my_lab" in path.read_text() for path in files)


def test_a_folder_with_files_is_left_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(project.rglob("*"))
    assert main(["new-project", "leaf-lab"]) == 2
    assert "exists and is not empty" in capsys.readouterr().err
    assert sorted(project.rglob("*")) == before


@pytest.mark.parametrize("folder", ["torch", "Hydra", "json", "tests", "conf", "3", "---", "class", "mimbench"])
def test_names_that_python_cannot_import_or_has_already_are_refused(folder: str) -> None:
    with pytest.raises(UserError, match="name"):
        package_name(folder)


def test_other_characters_become_underscores() -> None:
    assert package_name("My Leaf-Lab 2") == "my_leaf_lab_2"

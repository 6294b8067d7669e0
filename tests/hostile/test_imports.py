"""No file below a run directory causes an import outside mimbench and what it builds on."""

import contextlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mimbench.cli import main
from mimbench.core.errors import UserError
from mimbench.experiments.build import build_data, build_method
from mimbench.experiments.evaluation.encoder_sources import find_source
from mimbench.experiments.teachers import mae_of_run

RUN = next((Path(__file__).parents[1] / "runs_0.1.0" / "demo").glob("mae*"))
NAME = "mimbench_intruder"
imported: list[str] = []
sys.addaudithook(lambda event, arguments: imported.append(str(arguments[0])) if event == "import" else None)


def leaves(tree: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """The place of every value in nested mappings and lists, and of the mappings and lists themselves."""
    if path:
        yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield from leaves(value, *path, key)


def replaced(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(tree))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return copy


CONFIG = yaml.safe_load((RUN / "config.yaml").read_text())
PLACES = list(leaves(CONFIG))
VALUES = {
    "a name": f"{NAME}.run",
    "a target": {"_target_": f"{NAME}.run"},
    "a target in a list": [{"_target_": f"{NAME}.run", "_args_": ["x"]}],
    "an import": f"${{oc.create:{{_target_:{NAME}.run}}}}",
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run beside a module that records its import, in a directory that is on the import path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / f"{NAME}.py").write_text("def run(*args, **kwargs): ...\n")
    return Path(shutil.copytree(RUN, tmp_path / "runs" / "demo" / RUN.name))


def test_the_audit_hook_sees_imports(run: Path) -> None:
    """Otherwise the tests below could not fail."""
    imported.clear()
    __import__(NAME)
    assert NAME in imported
    del sys.modules[NAME]


@pytest.mark.parametrize("value", VALUES)
def test_no_value_of_a_configuration_is_imported(run: Path, value: str) -> None:
    assert len(PLACES) > 100
    for path in PLACES:
        (run / "config.yaml").write_text(yaml.safe_dump(replaced(CONFIG, path, VALUES[value])))
        imported.clear()
        # Whatever else is wrong with such a configuration may be said in any way.
        with contextlib.suppress(Exception):
            source = find_source(run)
            source.load()
        for build in (build_data, build_method):
            with contextlib.suppress(Exception):
                config = find_source(run).config
                assert config is not None
                build(config["data"] if build is build_data else config)
        with contextlib.suppress(Exception):
            mae_of_run(run, 32, pretrained=False)
        assert not [name for name in imported if NAME in name], path


@pytest.mark.parametrize("name", ["record.json", "config.yaml", "sweep.json", "slurm.json", "progress.json"])
def test_no_file_of_a_run_is_imported_by_commands(run: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    record = json.loads((run / "record.json").read_text())
    words = {"overrides": [f"++encoder._target_={NAME}.run", f"+x={{_target_:{NAME}.run}}"], "refused": None}
    plan = {key: record[key] for key in ("identity", "name", "axes")} | words
    contents: dict[str, Any] = {
        "record.json": record | {"status": "failed", "overrides": words["overrides"], "sweep": NAME},
        "config.yaml": replaced(CONFIG, ("encoder", "_target_"), f"{NAME}.run"),
        "sweep.json": {"name": NAME, "axes": {}, "runs": [plan]},
        "slurm.json": {"job": "1", "submitted": "", "output": "", "tasks": 1, "launcher": {"_target_": f"{NAME}.run"}},
        "progress.json": {"step": 1, "host": NAME},
    }
    path = run.parent / name if name == "sweep.json" else run / name
    path.write_text(json.dumps(contents[name]))  # JSON is YAML, too
    if name in ("sweep.json", "slurm.json"):
        (run / "record.json").write_text(json.dumps(record | {"status": "failed"}))
    imported.clear()
    for command in (
        ["status", str(run.parent)],
        ["report", str(run.parent), "--no-figures"],
        ["retry", str(run.parent)],
        ["evaluate", str(run), "protocol=knn"],
        ["analyze", str(run), "rank"],
        ["weights", "inspect", str(run)],
    ):
        with contextlib.suppress(SystemExit, UserError):
            assert main(command) in (0, 1, 2), command
    capsys.readouterr()
    assert not [name for name in imported if NAME in name]

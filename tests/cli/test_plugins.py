"""Config groups and modules from outside the package, in every command."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from mimbench.cli import main
from mimbench.experiments.launch.fork import PYTHON
from mimbench.experiments.plugins import VARIABLE, enabled, provides
from mimbench.experiments.stored import is_allowed

MODULE = """
import os
from dataclasses import dataclass

import torch

from mimbench.data import MemorySplit, Source
from mimbench.encoders import vit
from mimbench.evaluation import KNN
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE
from mimbench.targets import PixelTarget


class Half(MAE):
    def __init__(self, *args, share=1.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.share = share

    def losses(self, images, predictions, mask):
        return {name: self.share * term for name, term in super().losses(images, predictions, mask).items()}


class Few(RandomMasker):
    pass


class Plain(PixelTarget):
    pass


class Noise(Source):
    image_size = 32
    classes = ("a", "b")

    def split(self, name):
        size = {"train": 48, "val": 8, "test": 8}[name]
        images = torch.randint(0, 256, (size, 3, 32, 32), generator=torch.Generator().manual_seed(size))
        return MemorySplit(images.byte(), torch.arange(size) % 2)


@dataclass
class Nearest(KNN):
    name = "nearest-v1"
    k: int = 1


def tiny(**options):
    return vit(**options)


def open_door(path):
    os.system(f"touch {path}")


class _Hidden(MAE):
    pass
"""
FILES = {
    "method/half.yaml": "_target_: own_parts.Half\nname: half\ndim: 32\nnum_blocks: 1\nnum_heads: 4\n"
    "share: ${oc.select:strength.share,1.0}\n",
    "masker/few.yaml": "_target_: own_parts.Few\nratio: 0.5\n",
    "target/plain.yaml": "_target_: own_parts.Plain\n_partial_: true\n",
    "data/noise.yaml": "_target_: mimbench.data.ImageDataModule\nname: noise\nsource: {_target_: own_parts.Noise}\n"
    "image_size: 32\npatch_size: 8\nbatch_size: ${optim.batch_size}\nnum_workers: 0\nseed: ${seed}\n",
    "encoder/tiny.yaml": "_target_: own_parts.tiny\nname: tiny\nimage_size: ${data.image_size}\npatch_size: 8\n"
    "width: 32\ndepth: 2\nnum_heads: 2\n",
    "protocol/nearest.yaml": "# @package protocol.nearest\n_target_: own_parts.Nearest\nk: 1\n",
    "strength/weak.yaml": "share: 0.5\n",
    "experiment/own.yaml": "# @package _global_\ndefaults:\n  - override /data: noise\n  - override /encoder: tiny\n"
    "  - override /masker: few\n  - override /target: plain\n  - override /protocol: [nearest]\n"
    "sweep: own\noptim: {batch_size: 16}\nbudget: {epochs: 1}\ncallbacks: {knn: null}\n",
}


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """repository/conf with one option of every kind, and the module beside it."""
    repository = tmp_path / "repository"
    for name, text in FILES.items():
        (repository / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / "conf" / name).write_text(text)
    (repository / "own_parts.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    yield repository / "conf"
    sys.modules.pop("own_parts", None)
    GlobalHydra.instance().clear()


def call(*words: str) -> int:
    GlobalHydra.instance().clear()
    return main(words)


def metrics(sweep: Path) -> dict[str, dict[str, object]]:
    return {
        record["axes"]["method"]: record["metrics"]
        for path in sweep.glob("*/record.json")
        if (record := json.loads(path.read_text()))["status"] == "finished"
    }


def test_own_parts_of_every_kind_go_through_all_commands(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--config-dir", str(conf)]
    words = ["experiment=own", "method=half", "+strength=weak"]
    assert call("plan", *own, *words, "--json", "plan.json") == 0
    [planned] = json.loads(Path("plan.json").read_text())["runs"]
    assert (planned["axes"]["method"], planned["axes"]["encoder"], planned["state"]) == ("half", "tiny", "planned")
    assert call("run", *words, *own) == 0
    [run] = Path("runs/own").glob("half-*")
    assert run.name == planned["name"]
    assert "nearest-v1" in metrics(Path("runs/own"))["half"]
    assert call(f"--config-dir={conf}", "evaluate", str(run), "protocol=nearest,knn", "data=noise") == 0
    assert call("analyze", str(run), "--only", "rank,reconstructions", "--images", "8", *own) == 0
    assert (run / "analysis" / "rank.json").is_file()
    assert "knn-v1" in metrics(Path("runs/own"))["half"]
    assert call("report", "runs/own", *own) == 0
    assert call("status", "runs/own", *own) == 0
    assert "half" in capsys.readouterr().out


@pytest.mark.parametrize("fork", ["true", pytest.param("false", marks=pytest.mark.slow)])
def test_children_of_a_sweep_have_them_and_retry_too(fork: str, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    launcher = f"hydra.launcher.fork={fork}"
    words = ["experiment=own", "method=half,untrained", launcher]
    assert call("run", "-m", "--config-dir", "repository/conf", *words) == 0
    assert set(metrics(Path("runs/own"))) == {"half", "untrained"}
    [run] = Path("runs/own").glob("half-*")
    record = json.loads((run / "record.json").read_text())
    (run / "record.json").write_text(json.dumps(record | {"status": "failed"}))
    assert call("retry", "runs/own", launcher) == 2  # whose files name no folder
    assert "own" in capsys.readouterr().err
    assert call("retry", "runs/own", "-cd", str(conf), launcher) == 0
    assert set(metrics(Path("runs/own"))) == {"half", "untrained"}


def test_the_variable_does_the_same_as_the_option(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "repository/conf")
    assert call("plan", "experiment=own", "method=half") == 0
    assert os.environ[VARIABLE] == "repository/conf"


def test_options_do_not_outlive_their_command(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("plan", f"-cd={conf}", "experiment=own") == 0
    assert call("plan", "experiment=own") == 2
    assert "has no option 'own'" in capsys.readouterr().err
    assert VARIABLE not in os.environ
    assert str(conf.parent) not in sys.path


def test_help_and_hints_know_them(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", "--config-dir", str(conf), "method=hal") == 2
    assert "Did you mean half" in capsys.readouterr().err
    assert call("run", "--config-dir", str(conf), "experiment=own", "method=half", "method.shar=1") == 2
    assert "method.share" in capsys.readouterr().err
    assert call("evaluate", "--config-dir", str(conf), "nowhere", "protocol=neares") == 2
    assert "Did you mean nearest" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="0"):
        call("evaluate", "--config-dir", str(conf), "--help")
    assert "nearest" in capsys.readouterr().out


def test_an_installed_package_needs_no_option(conf: Path, tmp_path: Path) -> None:
    site, package = tmp_path / "site", tmp_path / "site" / "strangers_lab"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "parts.py").write_text(MODULE)
    for name, text in FILES.items():
        (package / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (package / "conf" / name).write_text(text.replace("own_parts", "strangers_lab.parts"))
    info = site / "strangers_lab-2.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers-lab\nVersion: 2.5\n")
    (info / "entry_points.txt").write_text("[mimbench.plugins]\nlab = strangers_lab\n")
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(site)]))
    words = ["run", "experiment=own", "method=half", "+strength=weak"]
    done = subprocess.run(
        [*PYTHON, "mimbench", *words],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [run] = Path("runs/own").glob("half-*")
    record = json.loads((run / "record.json").read_text())
    assert (record["status"], record["environment"]["plugins"]) == ("finished", {"lab": "2.5"})


def test_modules_of_a_folder_hide_no_installed_module(conf: Path) -> None:
    (conf.parent / "colorsys.py").write_text("raise SystemExit('imported')")
    with enabled([str(conf)]):
        sys.modules.pop("colorsys", None)
        __import__("colorsys")


def test_files_of_runs_may_build_parts_of_enabled_plugins_only(conf: Path) -> None:
    parts = ["own_parts.Half", "own_parts.Few", "own_parts.Plain", "own_parts.Noise", "own_parts.Nearest"]
    assert not any(map(is_allowed, [*parts, "own_parts.tiny"]))
    with enabled([str(conf)]):
        assert all(map(is_allowed, [*parts, "own_parts.tiny"]))


@pytest.mark.parametrize(
    "target",
    [
        "own_parts.open_door",  # no configuration file names it
        "own_parts._Hidden",
        "own_parts.os.system",
        "own_parts.MAE",  # not its own; mimbench.methods.MAE is the name
        "own_parts",
        "own_parts.",
        "lib.torch.load",
        "environment.module.Half",
        "os.system",
        "..own_parts.Half",
    ],
)
def test_everything_else_in_its_folder_is_refused(target: str, conf: Path) -> None:
    environment = conf.parent / "environment" / "lib"
    environment.mkdir(parents=True)
    (environment / "module.py").write_text(MODULE)
    with enabled([str(conf)]):
        assert not is_allowed(target)


def test_a_configuration_file_cannot_admit_what_is_not_the_plugins(conf: Path) -> None:
    (conf / "data" / "other.yaml").write_text("_target_: os.system\nsource: {_target_: torch.load}\n")
    with enabled([str(conf)]):
        assert not is_allowed("os.system")
        assert not provides("torch.load", ())


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--config-dir", "nowhere"], "there is no folder"),
        (["--config-dir"], "needs a folder"),
        (["--config-dir", "repository"], "has no config groups"),
    ],
)
def test_what_is_no_folder_of_config_groups_is_refused_in_a_line(
    words: list[str], reason: str, conf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("plan", *words) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1


def test_a_name_that_exists_already_is_refused(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (conf / "method" / "mae.yaml").write_text("_target_: own_parts.Half\nname: mae\n")
    assert call("plan", "--config-dir", str(conf)) == 2
    assert "has the name of a file of mimbench" in capsys.readouterr().err


def test_an_unknown_top_level_key_is_still_refused(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("plan", "--config-dir", str(conf), "+strenth.share=1") == 2
    assert "Nothing reads the key 'strenth'" in capsys.readouterr().err

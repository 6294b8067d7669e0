"""Configurations of a stranger's runs build parts of mimbench and nothing else."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from mimbench.cli import main
from mimbench.core.errors import UserError
from mimbench.experiments.config import config_directory
from mimbench.experiments.stored import check_config, find_targets, is_allowed

RUN = next((Path(__file__).parents[1] / "runs_0.1.0" / "demo").glob("mae*"))
HOSTILE = [
    "torch.load",
    "builtins.exec",
    "os.system",
    "subprocess.Popen",
    "hydra.utils.instantiate",
    "pathlib.Path.unlink",
    "mimbench.cli.main",
    "mimbench.experiments.launch.pool.start_process",
    "mimbench.core.files.write_atomic",
    "mimbench.data.sources.torchvision.torchvision",
    "mimbench.data.ImageDataModule.__init__.__globals__",
    "mimbench.evaluation.np.load",
    "mimbench..data.Photos",
    "mimbench.data.",
    "${oc.env:HOME}",
    "",
    3,
    ["torch.load"],
]


def config_with(key: str, value: Any) -> dict[str, Any]:
    config = yaml.safe_load((RUN / "config.yaml").read_text())
    *parents, last = key.split(".")
    place = config
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return config


@pytest.mark.parametrize("target", HOSTILE, ids=str)
@pytest.mark.parametrize("key", ["encoder._target_", "data.source._target_", "data.source.deep._target_"])
def test_other_targets_are_refused_by_key(key: str, target: Any) -> None:
    with pytest.raises(UserError, match=key):
        check_config(config_with(key, target), Path("config.yaml"))


def test_targets_in_lists_are_found() -> None:
    with pytest.raises(UserError, match=r"data\.parts\.1\._target_"):
        check_config(config_with("data.parts", [{}, {"_target_": "os.system"}]), Path("config.yaml"))


def test_callbacks_and_loggers_are_left_out() -> None:
    config = config_with("callbacks.own", {"_target_": "os.system"})
    assert check_config(config, Path("config.yaml"))["callbacks"] == {}


@pytest.mark.parametrize("group", ["data", "encoder", "masker", "method", "optim", "protocol", "target", "finetune"])
def test_every_shipped_option_is_allowed(group: str) -> None:
    for path in (config_directory() / group).glob("*.yaml"):
        assert all(map(is_allowed, find_targets(yaml.safe_load(path.read_text()))))


@pytest.mark.parametrize("key", ["encoder", "data.source"])
@pytest.mark.parametrize("command", [["evaluate", "protocol=knn"], ["analyze"]], ids=lambda c: c[0])
def test_commands_refuse_a_strangers_run_in_one_line(
    key: str, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    marker = tmp_path / "marker"
    config = config_with(f"{key}._target_", "builtins.exec")
    (config["encoder"] if key == "encoder" else config["data"]["source"])["_args_"] = [f"open({str(marker)!r}, 'w')"]
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    (run / "record.json").write_bytes((RUN / "record.json").read_bytes())
    (run / "encoder.safetensors").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert main([command[0], "run", *command[1:]]) == 2
    error = capsys.readouterr().err
    assert f"{key}._target_" in error
    assert "Traceback" not in error
    assert not marker.exists()

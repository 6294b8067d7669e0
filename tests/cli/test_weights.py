"""`mimbench weights` from a user's side."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import yaml
from safetensors.torch import load_file, save_file

from mimbench.cli import main
from mimbench.encoders import vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE
from mimbench.runs.records import Record, write
from mimbench.targets import PixelTarget
from mimbench.weights import MAE_FORMAT


def weights(*words: object) -> int:
    return main(["weights", *map(str, words)])


@pytest.fixture
def released(tmp_path: Path) -> Path:
    method = MAE(vit(32, 8, 192, 2, 3), RandomMasker(), PixelTarget, dim=32, num_blocks=1, num_heads=1)
    torch.save({"model": MAE_FORMAT.export(method), "epoch": 7}, tmp_path / "mae.pth")
    return tmp_path / "mae.pth"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    directory = tmp_path / "runs" / "one"
    directory.mkdir(parents=True)
    save_file(vit(32, 8, 32, 2, 4).trunk.state_dict(), directory / "encoder.safetensors")
    (directory / "config.yaml").write_text(yaml.safe_dump({"encoder": {"num_heads": 4}}))
    axes = {"method": "mirl", "encoder": "vit", "depth": 2, "data": "photos", "seed": 0}
    write(Record(identity="0", name="one", status="finished", axes=axes, started=""), directory)
    return directory


def test_inspect_says_what_a_file_is(released: Path, capsys: pytest.CaptureFixture[str]):
    assert weights("inspect", released) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if "beside" not in line)
    assert rows["format"] == "mae"
    assert rows["encoder"] == "ViT, width 192, 2 blocks"
    assert rows["heads"] == "3 (not in the weights; the papers' for this width)"
    assert rows["image"] == "32 px, 4 x 4 patches of 8 px, 3 channels"
    assert rows["decoders"] == "1 at depths 2, width 32, 1 block"
    state = torch.load(released, weights_only=True)["model"]
    assert rows["parameters"] == f"{sum(t.numel() for t in state.values()):,}"
    assert rows["entries"] == str(len(state))


def test_inspect_names_the_method_of_a_run(run: Path, capsys: pytest.CaptureFixture[str]):
    assert weights("inspect", run) == 0
    out = capsys.readouterr().out
    assert "method        mirl" in out
    assert "give them with --num-heads" in out


def test_import_then_export_loads_into_timm(released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert weights("import", released, "--format", "mae", "--image-size", 64, "--out", tmp_path / "in") == 0
    assert "used, 1 created by us, 0 left out" in capsys.readouterr().out
    notes = json.loads((tmp_path / "in" / "weights.json").read_text())
    assert notes["positions"] == "interpolated, 4² to 8² patches"
    assert notes["source"]["left_out_beside_the_weights"] == ["epoch"]
    assert weights("export", tmp_path / "in", "--format", "timm", "--out", tmp_path / "out.safetensors") == 0
    sizes: dict[str, Any] = {"img_size": 64, "patch_size": 8, "depth": 2, "num_classes": 0}
    model = timm.create_model("vit_tiny_patch16_224", checkpoint_path=str(tmp_path / "out.safetensors"), **sizes)
    stored = load_file(tmp_path / "in" / "encoder.safetensors")
    assert all(torch.equal(tensor, stored[name]) for name, tensor in model.state_dict().items())


def test_a_runs_own_heads_go_into_the_export(run: Path, tmp_path: Path):
    assert weights("export", run, "--format", "transformers-vit", "--out", tmp_path / "hf") == 0
    assert json.loads((tmp_path / "hf" / "config.json").read_text())["num_attention_heads"] == 4


class Touch:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def test_a_malicious_file_is_refused_with_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "bad.pd").write_bytes(pickle.dumps({"model": {"a": Touch(tmp_path / "mark")}}))
    for word in ("inspect", "import"):
        assert weights(word, tmp_path / "bad.pd") == 2
        error = capsys.readouterr().err
        assert error.startswith("mimbench weights: bad.pd is refused: it asks for posix.system")
        assert error.count("\n") == 1
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["import", "{file}", "--format", "deepmim"], "use --format mae"),
        (["import", "{file}", "--format", "ibot"], "There is no format 'ibot'"),
        (["import", "{file}", "--image-size", "36", "--out", "{tmp}/x"], "do not divide an image of 36 px"),
        (["import", "{tmp}/none"], "is not a file"),
        (["inspect", "{tmp}"], "contains no weights"),
        (["export", "{tmp}/none", "--format", "timm", "--out", "{tmp}/x"], "holds no encoder.safetensors"),
        (["export", "{run}", "--format", "onnx", "--out", "{tmp}/x"], "There is no format 'onnx'"),
        (["export", "{run}", "--format", "timm", "--out", "{file}"], "exists already"),
        (["export", "{run}", "--format", "released", "--out", "{tmp}/x"], "was not imported"),
        (["export", "{run}", "--format", "transformers-vitmae", "--decoder", "--out", "{tmp}/x"], "no decoder of MAE"),
    ],
)
def test_mistakes_are_told_in_one_sentence(
    words: list[str], message: str, released: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert weights(*(word.format(file=released, run=run, tmp=tmp_path) for word in words)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "x").exists()

"""`mimbench analyze` on runs, checkpoints and imported weights."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hydra.core.global_hydra import GlobalHydra
from safetensors.torch import load_file

from mimbench.analysis import cka_matrix, rankme, singular_values
from mimbench.cli import main
from mimbench.data import Digits, ImageDataModule
from mimbench.encoders import swin, vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE
from mimbench.runs import records
from mimbench.targets import PixelTarget
from mimbench.weights import MAE_FORMAT
from mimbench.weights.store import write_state_dict

SMALL = [
    "data=digits", "encoder.width=32", "encoder.depth=2", "method.dim=32", "method.num_blocks=1", "method.num_heads=4",
    "callbacks.knn=null", "callbacks.gradient_norms.every_n_steps=1", "protocol=[]", "optim.batch_size=256",
]  # fmt: skip
NAMES = ("cka", "rank", "attention", "gradients", "reconstructions")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    GlobalHydra.instance().clear()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of MAE, one of MIRL and an untrained encoder."""
    root = tmp_path_factory.mktemp("runs")
    found = {}
    for method, more in (("mae", ["budget.epochs=1"]), ("mirl", ["budget.epochs=1"]), ("untrained", [])):
        GlobalHydra.instance().clear()
        assert main(["run", *SMALL, f"method={method}", f"paths.runs={root}", "sweep=s", *more]) == 0
        (found[method],) = root.glob(f"s/{method}-*")
    return found


def analyze(*words: object) -> int:
    GlobalHydra.instance().clear()
    return main(["analyze", *map(str, words), "--device", "cpu"])


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def test_a_run_gets_numbers_figures_and_a_summary_in_its_record(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
):
    run = runs["mae"]
    before = records.read(run / "record.json")
    assert analyze(run, "--images", 40) == 0
    assert "effective rank" in capsys.readouterr().out
    assert {path.stem for path in (run / "analysis").glob("*.json")} == {*NAMES, "analysis-v1"}
    figures = {"cka", "rank", "spectrum", "attention", "gradient_norm"}
    assert {path.name for path in (run / "figures").glob("analysis-*.svg")} == {f"analysis-{f}.svg" for f in figures}
    assert (run / "figures" / "analysis-reconstructions.png").stat().st_size > 5000
    after = records.read(run / "record.json")
    summary = after.metrics["analysis-v1"]
    assert {k: v for k, v in after.metrics.items() if k != "analysis-v1"} == before.metrics
    assert (after.status, after.finished) == (before.status, before.finished)
    assert summary == read(run / "analysis" / "analysis-v1.json")
    assert (summary["depths"], summary["num_images"], summary["split"]) == ([0, 1, 2], 40, "val")
    for key in ("rank", "cka_to_last", "attention_distance", "attention_entropy", "gradient_norm"):
        assert len(summary[key]) == 3
    assert summary["attention_distance"][0] is None
    assert sum(path.stat().st_size for path in (run / "analysis").iterdir()) < 50_000


def test_numbers_are_those_of_the_exported_encoder_on_the_validation_images(runs: dict[str, Path]):
    assert analyze(runs["untrained"], "--only", "cka,rank", "--images", 500) == 0
    encoder = vit(32, 8, 32, 2, 4).eval()
    encoder.trunk.load_state_dict(load_file(runs["untrained"] / "encoder.safetensors"))
    images = torch.cat([batch.images for batch in ImageDataModule(Digits(32), eval_batch_size=50).plain("val")])
    with torch.no_grad():
        rows = [tokens.patches.mean(1) for tokens in encoder(images, range(3)).values()]
    found = read(runs["untrained"] / "analysis" / "cka.json")
    assert found["num_images"] == len(images) == 191  # no more than there are
    np.testing.assert_allclose(found["cka"], cka_matrix(rows).numpy(), atol=1e-4)
    ranks = [rankme(singular_values(x)) for x in rows]
    assert read(runs["untrained"] / "analysis" / "rank.json")["rank"] == pytest.approx(ranks, rel=1e-3)


def test_gradient_norms_come_from_the_training(runs: dict[str, Path]):
    assert analyze(runs["mirl"], "--only", "gradients") == 0
    found = read(runs["mirl"] / "analysis" / "gradients.json")
    rows = [line.split(",") for line in (runs["mirl"] / "metrics.csv").read_text().splitlines()]
    logged = [float(value) for _, name, value in rows if name == "gradient_norm/depth1"]
    assert [value for _, value in found["training"]["1"]] == pytest.approx(logged, rel=1e-5)
    assert len(logged) == 4  # every step of one epoch
    assert list(found["one_batch"]) == ["0", "1", "2"]
    summary = records.read(runs["mirl"] / "record.json").metrics["analysis-v1"]
    assert summary["gradient_norm"][1] == pytest.approx(np.mean(logged), rel=1e-5)


def test_several_runs_are_compared_in_their_common_parent(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]):
    parent = runs["mae"].parent
    only = "cka,rank,gradients,reconstructions"
    assert analyze(parent, "--images", 40, "--only", only) == 0  # a sweep means its runs
    told = capsys.readouterr()
    assert f"Comparison: {parent / 'analysis'}" in told.out
    assert "the encoder was not trained and has no decoders" in told.err
    found = read(parent / "analysis" / "cka.json")
    assert found["labels"] == ["mae", "mirl", "untrained"]
    assert len(found["pairs"]) == 3
    assert np.array(found["pairs"][0]["cka"]).shape == (3, 3)
    assert [row[i] for i, row in enumerate(found["last_depths"])] == [1, 1, 1]
    # All start from the same embedding, and four steps do not turn it.
    assert found["pairs"][0]["cka"][0][0] > 0.9
    drawn = {path.name for path in (parent / "analysis").iterdir()}
    assert {"cka.svg", "cka_last_depths.svg", "rank.svg", "gradient_norm.svg", "reconstructions.png"} <= drawn


def test_other_images_replace_the_summary_and_the_same_complete_it(runs: dict[str, Path]):
    run = runs["untrained"]
    for words, keys in (
        (["--only", "rank", "--images", 30], {"rank"}),
        (["--only", "cka", "--images", 30], {"rank", "cka_to_last"}),
        (["--only", "cka", "--images", 31], {"cka_to_last"}),
        (["--only", "cka", "--images", 31, "--split", "train"], {"cka_to_last"}),
    ):
        assert analyze(run, *words) == 0
        summary = records.read(run / "record.json").metrics["analysis-v1"]
        assert summary.keys() - {"depths", "num_images", "split", "data"} == keys


def test_a_checkpoint_is_analyzed_under_its_step_and_leaves_the_record_alone(runs: dict[str, Path]):
    before = (runs["mae"] / "record.json").read_bytes()
    assert analyze(runs["mae"] / "checkpoints" / "last.ckpt", "--only", "rank,reconstructions", "--images", 20) == 0
    assert (runs["mae"] / "analysis" / "rank@step4.json").is_file()
    assert (runs["mae"] / "figures" / "analysis-reconstructions@step4.png").is_file()
    assert (runs["mae"] / "record.json").read_bytes() == before


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    method = MAE(vit(32, 8, 192, 2, 3), RandomMasker(), PixelTarget, dim=32, num_blocks=1, num_heads=1)
    torch.save({"model": MAE_FORMAT.export(method)}, tmp_path / "mae.pth")
    assert main(["weights", "import", str(tmp_path / "mae.pth"), "--format", "mae", "--out", str(tmp_path / "in")]) == 0
    return tmp_path / "in"


def test_imported_weights_are_analyzed_on_chosen_data(imported: Path, capsys: pytest.CaptureFixture[str]):
    assert analyze(imported, "data=digits", "--images", 20) == 0
    assert {path.stem for path in (imported / "analysis").glob("*.json")} == {"cka", "rank", "attention", "analysis-v1"}
    told = capsys.readouterr().err
    assert "gradients is left out: Imported weights do not contain their target" in told
    assert "reconstructions is left out: its targets have no image" in told


def test_a_run_and_an_import_are_compared_on_the_same_images(runs: dict[str, Path], imported: Path, tmp_path: Path):
    words = ["data=digits", "--only", "cka", "--images", 30, "--out", tmp_path / "out"]
    assert analyze(runs["mae"], imported, *words) == 0
    found = read(tmp_path / "out" / "analysis" / "cka.json")
    assert found["labels"] == ["mae vit_micro d2 digits s0", "in"]
    assert np.array(found["pairs"][0]["cka"]).shape == (3, 3)


def test_encoders_shown_different_images_are_not_compared(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("config.yaml", "encoder.safetensors"):
        (other / name).write_bytes((runs["mae"] / name).read_bytes())
    config = yaml.safe_load((other / "config.yaml").read_text())
    config["data"]["source"]["seed"] = 1  # other splits
    (other / "config.yaml").write_text(yaml.safe_dump(config))
    assert analyze(runs["mae"], other, "--only", "cka", "--images", 30, "--out", tmp_path / "out") == 0
    assert "analyzed on different images" in capsys.readouterr().err
    assert not (tmp_path / "out" / "analysis" / "cka.json").exists()
    assert (other / "analysis" / "cka.json").is_file()  # a directory without a record will do


def test_a_swins_attention_is_left_out_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = tmp_path / "swin"
    run.mkdir()
    write_state_dict(swin(32, 16, (1, 1), (2, 2), window=4).trunk.state_dict(), run / "encoder.safetensors")
    encoder = {"_target_": "mimbench.encoders.swin", "name": "swin", "image_size": 32, "width": 16, "window": 4}
    encoder |= {"depths": [1, 1], "num_heads": [2, 2]}
    data = {"_target_": "mimbench.data.ImageDataModule", "name": "digits", "image_size": 32}
    data["source"] = {"_target_": "mimbench.data.Digits", "image_size": 32}
    (run / "config.yaml").write_text(
        yaml.safe_dump({"seed": 0, "encoder": encoder, "data": data, "method": {"_target_": None, "name": "untrained"}})
    )
    assert analyze(run, "--images", 20) == 0
    assert "attention is left out: Attention is analyzed for ViTs" in capsys.readouterr().err
    assert (run / "analysis" / "rank.json").is_file()
    assert analyze(run, "--images", 20, "--only", "attention") == 2
    assert "Nothing was analyzed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Give runs, checkpoints or imported weights"),
        (["{tmp}/none"], "There is no"),
        (["{tmp}"], "expected a run, a checkpoint"),
        (["{run}", "--only", "rnak"], "no analysis 'rnak'. Did you mean rank?"),
        (["{run}", "--onyl", "rank"], "There is no option --onyl"),
        (["{run}", "data=digitz"], "data has no option 'digitz'"),
        (["{run}", "data.seeed=3"], "There is no key 'data.seeed'"),
        (["{run}", "encoder.depth=3"], "encoder.depth=3 does not apply to analyze"),
        (["{run}", "data=digits", "data.image_size=64"], "expects images of 32 px, got 64 px"),
        (["{import}"], "have no data; choose some with data="),
    ],
)
def test_mistakes_are_told_in_one_sentence(
    words: list[str],
    message: str,
    runs: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    request: Any,
):
    bring = request.getfixturevalue("imported") if "{import}" in words else ""
    capsys.readouterr()
    assert analyze(*(word.format(run=runs["mae"], tmp=tmp_path, **{"import": bring}) for word in words)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(("option", "value"), [("--images", "0"), ("--split", "dev"), ("--device", "tpu")])
def test_values_that_are_none_end_with_status_2(option: str, value: str):
    with pytest.raises(SystemExit) as end:
        main(["analyze", "x", option, value])
    assert end.value.code == 2

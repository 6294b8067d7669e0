"""One ablation of each family is trained for a few steps, and both extra methods."""

import csv
import json
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from mimbench.cli import main

SMALL = ["data=digits", "encoder.width=32", "optim.batch_size=64", "optim.warmup_epochs=0", "callbacks.knn=null"]
SMALL += ["experiment=demo", "method.dim=32", "budget=steps", "budget.epochs=null", "budget.steps=2", "protocol=[knn]"]
TRAINED = {
    "mae_mask_tokens": ["method.encode_hidden=true"],
    "mae_target": ["target=pca"],
    "mae_augmentation": ["+augmentation=color"],
    "deepmim_taps": ["method.num_taps=2"],
    "localmim_scales": ["method.scales=coarse-to-fine"],
    "mirl_cross_attention": ["method.cross=false"],
    "claim_deep_supervision": ["method=simmim"],
    "claim_local_supervision": ["method=maskfeat"],
}


@pytest.mark.parametrize("ablation", TRAINED)
def test_a_cell_of_an_ablation_trains(ablation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    GlobalHydra.instance().clear()
    assert main(["run", f"+ablation={ablation}", *SMALL, *TRAINED[ablation]]) == 0
    (run,) = (tmp_path / "runs" / ablation).glob("*/record.json")
    record = json.loads(run.read_text())
    assert record["status"] == "finished"
    assert record["metrics"]["knn-v1"]["num_test"] == 451
    with (run.parent / "metrics.csv").open() as file:
        assert [row for row in csv.DictReader(file) if row["metric"] == "val/loss"]

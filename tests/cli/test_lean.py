"""What the start of a run imports, and what it leaves out without losing it."""

import json
import subprocess
import sys

# As the process does that runs are forked from; then as others, who want the packages that were left out.
CODE = """
import json, sys
from mimbench.cli.run import warm_up
warm_up()
print(json.dumps(sorted(sys.modules)))
from lightning.pytorch.core.module import Metric
import torchmetrics
assert not hasattr(torchmetrics, "__no_such_name__")
from torchmetrics.classification import MulticlassAccuracy
assert torchmetrics.metric.Metric is Metric is torchmetrics.Metric
assert issubclass(torchmetrics.MeanMetric, Metric)
assert isinstance(torchmetrics.Accuracy(task="multiclass", num_classes=3), MulticlassAccuracy)
import wandb
assert wandb.Settings
"""
NOT_NEEDED = {
    "datasets",
    "open_clip",
    "pandas",
    "plotly",
    "scipy.signal",
    "sklearn",
    "submitit",
    "tensorboard",
    "tensorboardX",
    "torchmetrics.functional",
    "transformers",
    "wandb",
    "webdataset",
    "mimbench.benchmarking",
    "mimbench.reporting.report",
}
NEEDED = {"lightning.pytorch.trainer.trainer", "timm.models.vision_transformer", "mimbench.cli.pipeline"}


def test_a_run_imports_no_packages_it_does_not_need_and_others_find_them_whole() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    imported = set(json.loads(done.stdout.splitlines()[0]))
    assert imported >= NEEDED
    assert not imported & NOT_NEEDED

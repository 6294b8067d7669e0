"""What a machine needs to train and evaluate: reports, trackers and annotated data bring packages of their own."""

import subprocess
import sys
from pathlib import Path

# Dependencies of mimbench that belong to reports, trackers, detection and other optional parts.
NOT_NEEDED = (
    *("plotly", "pandas", "tabulate", "wandb", "wandb_workspaces", "tensorboardX", "pycocotools"),
    *("submitit", "webdataset", "datasets", "open_clip", "simplejpeg", "beartype", "sklearn", "joblib"),
)
# Runs the command line in a Python that does not find these packages.
WITHOUT = f"""
import sys
from importlib.machinery import PathFinder

class Others(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {NOT_NEEDED} else super().find_spec(name, path, target)

sys.meta_path[:] = [Others if finder is PathFinder else finder for finder in sys.meta_path]
from mimbench.cli import main
sys.exit(main(sys.argv[1:]))
"""
WORDS = (
    *(
        "run",
        "experiment=demo",
        "method=mae",
        "data=digits",
        "encoder.depth=2",
        "encoder.width=16",
        "encoder.num_heads=2",
    ),
    *("budget.epochs=1", "protocol=[knn,linear]", "trainer.accelerator=cpu"),
)


def test_training_and_evaluation_need_no_package_of_reports_trackers_and_detection(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", WITHOUT, *WORDS], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert list(tmp_path.glob("runs/*/*/record.json"))

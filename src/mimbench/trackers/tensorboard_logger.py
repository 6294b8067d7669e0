"""TensorBoard: logs the same as W&B, except weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from mimbench.trackers.run_info import RunInfo


def tensorboard_logger(info: RunInfo) -> "EventLogger":
    """A logger that writes RUN/tensorboard; `tensorboard --logdir runs/SWEEP` shows a sweep."""
    return EventLogger(info)


class EventLogger(TensorBoardLogger):
    """Scalars, curves by depth and images as events; a requeued run writes another file next to the first."""

    def __init__(self, info: RunInfo):
        super().__init__(info.directory, name="tensorboard", version="", default_hp_metric=False)
        self.info, self.last_step = info, 0
        lines = [f"    {key}: {value}" for key, value in info.settings.items()]
        self.experiment.add_text("config", "\n".join(lines))

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Logs numbers at a step, by default the last one."""
        self.last_step = self.last_step if step is None else step
        super().log_metrics(dict(metrics), self.last_step)

    @rank_zero_only
    def log_summary(self, values: Mapping[str, Any]) -> None:
        """Logs numbers of the whole run, at the last step."""
        self.log_metrics({key: float(value) for key, value in values.items()})

    @rank_zero_only
    def log_curves(self, name: str, depths: Sequence[int], curves: Mapping[str, Sequence[float]]) -> None:
        """Logs lists by depth, with the depth as step."""
        for key, values in curves.items():
            for depth, value in zip(depths, values, strict=True):
                super().log_metrics({f"{name}/{key}": float(value)}, int(depth))

    @rank_zero_only
    def log_reconstructions(self, path: Path, step: int | None = None) -> None:
        """Logs the figure of `Reconstructions`."""
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        self.experiment.add_image(
            "reconstructions", pixels, self.last_step if step is None else step, dataformats="HWC"
        )

    @rank_zero_only
    def log_weights(self, files: Sequence[Path], parent: tuple[str, Sequence[Path]] | None = None) -> None:
        """Does nothing: TensorBoard stores no files."""

    @rank_zero_only
    def finish(self, failed: bool) -> None:
        """Writes pending events and closes the file."""
        self.finalize("failed" if failed else "success")

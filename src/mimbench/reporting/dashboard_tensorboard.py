"""TensorBoard, told the same as W&B where it has a place for it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from mimbench.reporting.dashboard_facts import Facts


def tensorboard_logger(facts: Facts) -> "EventLogger":
    """Writes RUN/tensorboard; `tensorboard --logdir runs/SWEEP` shows a sweep."""
    return EventLogger(facts)


class EventLogger(TensorBoardLogger):
    """Scalars, curves by depth and pictures as events; a requeued run writes a further file beside the first."""

    def __init__(self, facts: Facts):
        super().__init__(facts.directory, name="tensorboard", version="", default_hp_metric=False)
        self.facts, self.last = facts, 0
        lines = [f"    {key}: {value}" for key, value in facts.settings.items()]
        self.experiment.add_text("config", "\n".join(lines))

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Logs numbers; those without a step belong to the last one."""
        self.last = self.last if step is None else step
        super().log_metrics(dict(metrics), self.last)

    @rank_zero_only
    def log_summary(self, values: Mapping[str, Any]) -> None:
        """Numbers that belong to no step."""
        self.log_metrics({key: float(value) for key, value in values.items()})

    @rank_zero_only
    def log_curves(self, name: str, depths: Sequence[int], curves: Mapping[str, Sequence[float]]) -> None:
        """Lists by depth, with the depth as step."""
        for key, values in curves.items():
            for depth, value in zip(depths, values, strict=True):
                super().log_metrics({f"{name}/{key}": float(value)}, int(depth))

    @rank_zero_only
    def log_reconstructions(self, path: Path, step: int | None = None) -> None:
        """The picture that `Reconstructions` has written."""
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        self.experiment.add_image("reconstructions", pixels, self.last if step is None else step, dataformats="HWC")

    @rank_zero_only
    def log_weights(self, files: Sequence[Path], parent: tuple[str, Sequence[Path]] | None = None) -> None:
        """TensorBoard keeps no files."""

    @rank_zero_only
    def finish(self, failed: bool) -> None:
        """Writes what is left."""
        self.finalize("failed" if failed else "success")

"""The panels of the W&B workspace and report, and the names of the metrics that they show."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

STEP = "trainer/global_step"
DEPTH = "layerwise-v1/depth"
LINEAR, KNN = "linear-v1/accuracy", "knn-v1/accuracy"
COLUMNS = (LINEAR, KNN, "val/loss", "cost/training_flops")  # of the table of runs


@dataclass(frozen=True)
class Panel:
    """One plot.

    Attributes:
        kind: "line" shows the course of runs, "bar" and "scatter" their last values, "media" images.
        metrics: Names as logged, on the vertical axis.
        prefixes: Also all metrics whose names start with one of these.
        x: Metric on the horizontal axis of "line" and "scatter".
        log_x: Whether the horizontal axis is logarithmic.
    """

    kind: Literal["line", "bar", "scatter", "media"]
    title: str
    metrics: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    x: str = STEP
    log_x: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all metrics that it needs."""
        return (*self.metrics, self.x) if self.kind in ("line", "scatter") else self.metrics


@dataclass(frozen=True)
class Section:
    """Panels that answer one question."""

    name: str
    question: str
    panels: tuple[Panel, ...]


def _cost(title: str, key: str) -> Panel:
    return Panel("scatter", f"Linear accuracy by {title}", (LINEAR,), x=f"cost/{key}", log_x=True)


SECTIONS = (
    Section(
        "Which method wins",
        "Final accuracy on the test split; `mimbench report` says which differences are noise.",
        (
            Panel("bar", "Linear accuracy", (LINEAR,)),
            Panel("bar", "kNN accuracy", (KNN,)),
        ),
    ),
    Section(
        "At what cost",
        "The best runs are at the upper left: high accuracy at low cost.",
        (
            _cost("training FLOPs", "training_flops"),
            _cost("device-seconds", "device_seconds"),
            _cost("seconds of training", "train_seconds"),
        ),
    ),
    Section(
        "At which depth",
        "Accuracy of frozen features after each block; 0 is the patch embedding.",
        (
            Panel("line", "Linear accuracy by depth", ("layerwise-v1/linear",), x=DEPTH),
            Panel("line", "kNN accuracy by depth", ("layerwise-v1/knn",), x=DEPTH),
        ),
    ),
    Section(
        "Training",
        "Losses of different targets have different units: compare them within one method only.",
        (
            Panel("line", "Training loss", ("train/loss",)),
            Panel("line", "Validation loss", ("val/loss",)),
            Panel("line", "kNN accuracy during training", ("knn",)),
            Panel("line", "Learning rate", ("lr",)),
            Panel("line", "Images per second", ("throughput",)),
            Panel("line", "Norm of the gradient by depth", prefixes=("gradient_norm/depth",)),
        ),
    ),
    Section(
        "Reconstructions",
        "The same images under the same masks: images, visible patches, predictions.",
        (Panel("media", "Reconstructions", ("reconstructions",)),),
    ),
)


def names() -> list[str]:
    """The names of all metrics that the panels need, sorted."""
    return sorted({name for section in SECTIONS for panel in section.panels for name in panel.names})


def prefixes() -> list[str]:
    """The prefixes of all panels, sorted."""
    return sorted({prefix for section in SECTIONS for panel in section.panels for prefix in panel.prefixes})


def as_json() -> list[dict[str, Any]]:
    """The sections as lists and dictionaries."""
    return [asdict(section) for section in SECTIONS]

"""What a W&B workspace and report show: pure data, and the only list of it."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

STEP = "trainer/global_step"
DEPTH = "layerwise-v1/depth"


@dataclass(frozen=True)
class Panel:
    """One plot.

    Attributes:
        kind: "line" follows runs, "bar" and "scatter" show where they ended, "media" shows pictures.
        metrics: Names as logged, on the vertical axis; one ending in * means all that begin like it.
        x: What is on the horizontal axis of lines and scatters.
        log_x: Whether that axis is logarithmic.
    """

    kind: Literal["line", "bar", "scatter", "media"]
    title: str
    metrics: tuple[str, ...]
    x: str = STEP
    log_x: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that some run must have logged."""
        return (*self.metrics, self.x) if self.kind in ("line", "scatter") else self.metrics


@dataclass(frozen=True)
class Section:
    """Plots that answer one question."""

    name: str
    question: str
    panels: tuple[Panel, ...]


def _cost(title: str, key: str) -> Panel:
    return Panel("scatter", f"Linear accuracy by {title}", ("linear-v1/accuracy",), f"cost/{key}", log_x=True)


SECTIONS = (
    Section(
        "Which method wins",
        "Final accuracy on the test split; `mimbench report` says which differences are noise.",
        (
            Panel("bar", "Linear accuracy", ("linear-v1/accuracy",)),
            Panel("bar", "kNN accuracy", ("knn-v1/accuracy",)),
        ),
    ),
    Section(
        "At what cost",
        "Runs to the upper left get more out of less.",
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
            Panel("line", "Linear accuracy by depth", ("layerwise-v1/linear",), DEPTH),
            Panel("line", "kNN accuracy by depth", ("layerwise-v1/knn",), DEPTH),
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
            Panel("line", "Norm of the gradient by depth", ("gradient_norm/depth*",)),
        ),
    ),
    Section(
        "Reconstructions",
        "The same images under the same masks: the image, what was visible, every prediction.",
        (Panel("media", "Reconstructions", ("reconstructions",)),),
    ),
)


def names() -> list[str]:
    """Every metric that a panel shows, sorted."""
    return sorted({name for section in SECTIONS for panel in section.panels for name in panel.names})


def as_json() -> list[dict[str, Any]]:
    """The sections as plain lists and dicts."""
    return [asdict(section) for section in SECTIONS]

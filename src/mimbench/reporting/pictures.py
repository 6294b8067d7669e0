"""Reconstructions side by side: strips cut from the pictures of runs, grouped by equal images and masks."""

import base64
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from mimbench.reporting.runs import Condition, Run

FILE = "figures/reconstructions.png"
_NUM_IMAGES = 6
_SIDE = 96  # pixels of an image on the page, at most
_GIVEN = ("image", "visible")  # the rows of a picture that do not depend on the method
_MAX_BYTES = 1_500_000  # of all strips of a page


@dataclass(frozen=True)
class Prediction:
    """One row of one run's picture: what a branch predicted, as a data URI."""

    condition: Condition
    seed: int
    branch: str
    strip: str


@dataclass(frozen=True)
class Group:
    """Predictions for the same images under the same masks."""

    image: str
    visible: str
    predictions: tuple[Prediction, ...]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return tuple(dict.fromkeys(prediction.condition for prediction in self.predictions))


def reconstructions(runs: Iterable[Run], warnings: list[str]) -> list[Group]:
    """One run per condition, that of the smallest seed; what does not fit into a page is named in `warnings`."""
    first: dict[Condition, Run] = {}
    for run in sorted(runs, key=lambda run: run.axes.get("seed", 0)):
        if run.condition is not None and run.directory is not None and (run.directory / FILE).is_file():
            first.setdefault(run.condition, run)
    groups: dict[tuple[str, str], list[Prediction]] = {}
    size, left_out = 0, 0
    for condition, run in sorted(first.items(), key=lambda pair: pair[0].order):
        strips = {name: _encoded(strip) for name, strip in _rows(run.directory or Path()).items()}
        cost = sum(map(len, strips.values()))
        if not strips or size + cost > _MAX_BYTES:
            left_out += 1
            continue
        given = (strips[_GIVEN[0]], strips[_GIVEN[1]])
        size += cost - (sum(map(len, given)) if given in groups else 0)
        own = [Prediction(condition, run.axes["seed"], n, strip) for n, strip in strips.items() if n not in _GIVEN]
        groups.setdefault(given, []).extend(own)
    if left_out:
        warnings.append(f"Reconstructions of {left_out} conditions are not shown: unreadable, or too many for a page.")
    return [Group(*given, tuple(predictions)) for given, predictions in groups.items()]


def _rows(directory: Path) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
    """The rows of a picture by name; empty where the picture or its legend cannot be read."""
    try:
        path = directory / FILE
        legend = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        side, gap, names = int(legend["side"]), int(legend["gap"]), [str(name) for name in legend["rows"]]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    step = side + gap
    whole = tuple(names[:2]) == _GIVEN and pixels.shape[0] >= len(names) * step
    width = min(_NUM_IMAGES * step, pixels.shape[1] - gap)
    rows = {name: pixels[gap + k * step : k * step + step, gap : gap + width] for k, name in enumerate(names)}
    return rows if whole and side > 0 else {}


def _encoded(strip: UInt8[np.ndarray, "h w 3"]) -> str:
    picture = Image.fromarray(strip)
    scale = min(1.0, _SIDE / strip.shape[0])
    if scale < 1:
        picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    stream = io.BytesIO()
    picture.save(stream, format="webp", quality=80)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()

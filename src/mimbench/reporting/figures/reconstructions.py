"""Reconstructions for the HTML page: rows of the figures of runs, grouped by equal images and masks."""

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from mimbench.core.json_files import read_json
from mimbench.reporting.runs import Condition, Run
from mimbench.runs.directory import FIGURES, RECONSTRUCTIONS, RECONSTRUCTIONS_LEGEND

_MAX_PIXELS = 1 << 25  # of a stored figure
_NUM_IMAGES = 6
_MAX_SIDE = 96  # pixels of an image on the page
_SHARED = ("image", "visible")  # the rows that do not depend on the method
_MAX_BYTES = 1_500_000  # of all rows on a page


@dataclass(frozen=True)
class Prediction:
    """The predictions of one branch of a method, a row of images as a data URI."""

    condition: Condition
    seed: int
    branch: str
    strip: str


@dataclass(frozen=True)
class Group:
    """Predictions for the same images and masks; rows of images as data URIs."""

    image: str
    visible: str
    predictions: tuple[Prediction, ...]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return tuple(dict.fromkeys(prediction.condition for prediction in self.predictions))


def reconstructions(runs: Iterable[Run], warnings: list[str]) -> list[Group]:
    """The reconstructions of one run per condition, the one with the smallest seed.

    A warning gives the number of conditions that are left out: unreadable, or too many for a page.
    """
    first: dict[Condition, Run] = {}
    for run in sorted(runs, key=lambda run: run.axes.get("seed", 0)):
        folder = None if run.directory is None else run.directory / FIGURES
        if run.condition is not None and folder is not None and (folder / RECONSTRUCTIONS).is_file():
            first.setdefault(run.condition, run)
    groups: dict[tuple[str, str], list[Prediction]] = {}
    size, left_out = 0, 0
    for condition, run in sorted(first.items(), key=lambda pair: pair[0].order):
        strips = {name: _encode(strip) for name, strip in _rows((run.directory or Path()) / FIGURES).items()}
        cost = sum(map(len, strips.values()))
        if not strips or size + cost > _MAX_BYTES:
            left_out += 1
            continue
        shared = (strips[_SHARED[0]], strips[_SHARED[1]])
        size += cost - (sum(map(len, shared)) if shared in groups else 0)
        own = [Prediction(condition, run.axes["seed"], n, strip) for n, strip in strips.items() if n not in _SHARED]
        groups.setdefault(shared, []).extend(own)
    if left_out:
        warnings.append(f"Reconstructions of {left_out} conditions are not shown: unreadable, or too many for a page.")
    return [Group(*shared, tuple(predictions)) for shared, predictions in groups.items()]


def _rows(folder: Path) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
    """The rows of a figure by name; empty if the figure or its legend cannot be read."""
    try:
        legend = read_json(folder / RECONSTRUCTIONS_LEGEND)
        with Image.open(folder / RECONSTRUCTIONS) as image:
            if image.format != "PNG" or image.width * image.height > _MAX_PIXELS:
                return {}
            pixels = np.asarray(image.convert("RGB"))
        side, gap, names = int(legend["side"]), int(legend["gap"]), [str(name) for name in legend["rows"]]
    except (OSError, ValueError, KeyError, TypeError, OverflowError, Image.DecompressionBombError):
        return {}
    step = side + gap
    complete = tuple(names[:2]) == _SHARED and pixels.shape[0] >= len(names) * step
    width = min(_NUM_IMAGES * step, pixels.shape[1] - gap)
    rows = {name: pixels[gap + k * step : k * step + step, gap : gap + width] for k, name in enumerate(names)}
    return rows if complete and side > 0 else {}


def _encode(strip: UInt8[np.ndarray, "h w 3"]) -> str:
    image = Image.fromarray(strip)
    scale = min(1.0, _MAX_SIDE / strip.shape[0])
    if scale < 1:
        image = image.resize((round(image.width * scale), round(image.height * scale)))
    stream = io.BytesIO()
    image.save(stream, format="webp", quality=80)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()

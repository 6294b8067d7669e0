"""One look for every figure: colours by method, panels, labels beside the lines."""

import io
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

# Okabe and Ito 2008: told apart with any common colour blindness. A method keeps its colour in every report.
_METHODS = {"untrained": "#7f7f7f", "mae": "#0072B2", "deepmim": "#D55E00", "localmim": "#009E73", "mirl": "#CC79A7"}
_FURTHER = ("#56B4E9", "#E69F00", "#000000", "#B3A800", "#5D3A9B", "#8B4513", "#1B7F79", "#C2185B", "#66A61E")
# The same hues, light enough for a dark page; those that are so already are left out.
_ON_DARK = {
    "#7f7f7f": "#A6ADB5",
    "#0072B2": "#5AAEEA",
    "#D55E00": "#FF8B4D",
    "#009E73": "#3DCFA2",
    "#CC79A7": "#E9A1CB",
    "#000000": "#ECECEC",
    "#B3A800": "#D8CE3A",
    "#5D3A9B": "#B096E8",
    "#8B4513": "#D4916A",
    "#1B7F79": "#4FC4BC",
    "#C2185B": "#F06C9B",
    "#66A61E": "#9AD653",
}
_STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "lines.markersize": 4,
    "legend.frameon": False,
    # The same input makes the same SVG.
    "svg.hashsalt": "mimbench",
}


class Label(NamedTuple):
    """Text that belongs beside the right end of a line at height y."""

    text: str
    y: float
    colour: str


def colours(labels: Iterable[str]) -> dict[str, str]:
    """A colour for each method, the known ones always in their own."""
    further = sorted(set(labels) - _METHODS.keys())
    return _METHODS | {label: _FURTHER[place % len(_FURTHER)] for place, label in enumerate(further)}


def on_dark(colour: str) -> str:
    """The colour to use instead on a dark page."""
    return _ON_DARK.get(colour, colour)


def style() -> AbstractContextManager[None]:
    """To be entered while figures are made and encoded; leaves matplotlib's settings as they were."""
    return matplotlib.rc_context(_STYLE)


def subplots(num_rows: int, num_columns: int, *, width: float, height: float) -> tuple[Figure, Any]:
    """A figure of panels of the given size in inches, and its axes as an array "rows columns"."""
    layout = ConstrainedLayoutEngine(h_pad=0.09, w_pad=0.09)
    figure = Figure(figsize=(width * num_columns, height * num_rows + 0.3), layout=layout)
    return figure, figure.subplots(num_rows, num_columns, squeeze=False)


def legend(figure: Figure, labels: Sequence[str], markers: dict[str, str]) -> None:
    """Names colours and markers in one row above the panels."""
    palette = colours(labels)
    methods = [Line2D([], [], color=palette[label], marker="o", linestyle="", label=label) for label in labels]
    depths = [
        Line2D([], [], color="#444444", marker=mark, linestyle="", label=text, fillstyle="none")
        for text, mark in markers.items()
    ]
    figure.legend(handles=methods + depths, loc="outside upper center", ncols=min(8, len(methods + depths)))


def encode(figure: Figure, kind: str) -> bytes:
    """The figure as `png` or `svg`; the same figure gives the same bytes."""
    if figure.get_layout_engine() is not None:
        # Laid out once for all kinds: it takes as long as drawing.
        figure.draw_without_rendering()
        figure.set_layout_engine(None)
    stream = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(stream, format=kind, dpi=150, metadata=metadata)
    return stream.getvalue()


def label_ends(axes: Axes, labels: Sequence[Label]) -> None:
    """Names lines at the right edge, pushed apart where they would overlap. To be called once the limits stand."""
    labels = sorted(labels, key=lambda label: label.y)
    low, high = axes.get_ylim()
    heights = _apart(np.array([label.y for label in labels]), gap=0.085 * (high - low))
    for label, height in zip(labels, heights, strict=True):
        axes.annotate(
            label.text,
            xy=(1, height),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=label.colour,
            fontsize=8.5,
            annotation_clip=False,
        )


def _apart(heights: np.ndarray, gap: float) -> np.ndarray:
    """Sorted heights moved as little as a few sweeps allow until neighbours keep the gap."""
    heights = heights.astype(float)
    for _ in range(100):
        for lower in range(len(heights) - 1):
            overlap = gap - (heights[lower + 1] - heights[lower])
            if overlap > 0:
                heights[lower] -= overlap / 2
                heights[lower + 1] += overlap / 2
    return heights

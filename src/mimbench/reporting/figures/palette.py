"""The style of all figures: colors by method, panels, labels at the ends of lines."""

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

# Okabe and Ito 2008: distinguishable with all common forms of color blindness. A method has the same color in every
# report.
_METHODS = {"untrained": "#7f7f7f", "MAE": "#0072B2", "DeepMIM": "#D55E00", "LocalMIM": "#009E73", "MIRL": "#CC79A7"}
_FURTHER = ("#56B4E9", "#E69F00", "#000000", "#B3A800", "#5D3A9B", "#8B4513", "#1B7F79", "#C2185B", "#66A61E")
# The same hues, lighter, for a dark page; colors that are light enough are not listed.
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
    # Makes the bytes of an SVG reproducible.
    "svg.hashsalt": "mimbench",
}


class Label(NamedTuple):
    """Text beside the right end of a line that ends at height y."""

    text: str
    y: float
    color: str


def colors(labels: Iterable[str]) -> dict[str, str]:
    """A color for each label; the methods of `_METHODS` have fixed ones."""
    further = sorted(set(labels) - _METHODS.keys())
    return _METHODS | {label: _FURTHER[i % len(_FURTHER)] for i, label in enumerate(further)}


def on_dark(color: str) -> str:
    """The variant of a color for a dark page."""
    return _ON_DARK.get(color, color)


def style() -> AbstractContextManager[None]:
    """Context in which figures are drawn and encoded; restores matplotlib's settings on exit."""
    return matplotlib.rc_context(_STYLE)


def subplots(num_rows: int, num_columns: int, *, width: float, height: float) -> tuple[Figure, Any]:
    """A figure and its axes as an array "rows columns"; width and height of a panel in inches."""
    layout = ConstrainedLayoutEngine(h_pad=0.09, w_pad=0.09)
    figure = Figure(figsize=(width * num_columns, height * num_rows + 0.3), layout=layout)
    return figure, figure.subplots(num_rows, num_columns, squeeze=False)


def legend(figure: Figure, labels: Sequence[str], markers: dict[int, str]) -> None:
    """Adds a legend above the panels: colors of methods and markers of encoder depths."""
    palette = colors(labels)
    methods = [Line2D([], [], color=palette[label], marker="o", linestyle="", label=label) for label in labels]
    depths = [
        Line2D([], [], color="#444444", marker=marker, linestyle="", label=f"depth {depth}", fillstyle="none")
        for depth, marker in markers.items()
    ]
    figure.legend(handles=methods + depths, loc="outside upper center", ncols=min(8, len(methods + depths)))


def encode(figure: Figure, kind: str) -> bytes:
    """The figure as `png` or `svg`; the same figure gives the same bytes."""
    if figure.get_layout_engine() is not None:
        # One layout for all kinds, because the layout takes as long as drawing.
        figure.draw_without_rendering()
        figure.set_layout_engine(None)
    stream = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(stream, format=kind, dpi=150, metadata=metadata)
    return stream.getvalue()


def label_ends(axes: Axes, labels: Sequence[Label]) -> None:
    """Writes labels at the right edge, moved apart if they would overlap; call it after the axis limits are set."""
    labels = sorted(labels, key=lambda label: label.y)
    low, high = axes.get_ylim()
    heights = _separate(np.array([label.y for label in labels]), gap=0.085 * (high - low))
    for label, height in zip(labels, heights, strict=True):
        axes.annotate(
            label.text,
            xy=(1, height),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=label.color,
            fontsize=8.5,
            annotation_clip=False,
        )


def _separate(heights: np.ndarray, gap: float) -> np.ndarray:
    """Sorted heights, moved in up to 100 passes until neighbors keep the gap."""
    heights = heights.astype(float)
    for _ in range(100):
        for lower in range(len(heights) - 1):
            overlap = gap - (heights[lower + 1] - heights[lower])
            if overlap > 0:
                heights[lower] -= overlap / 2
                heights[lower + 1] += overlap / 2
    return heights

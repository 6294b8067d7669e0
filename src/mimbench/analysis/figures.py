"""Figures of analyses."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mimbench.analysis.attention import Heads

_CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7f7f7f")


def cka(matrices: Mapping[str, np.ndarray], rows: str = "depth", columns: str = "depth") -> Figure:
    """One panel for each matrix "i j" of similarities between depths, with a common scale from 0 to 1."""
    figure, panels = _panels(len(matrices), width=3.4, height=3.0)
    for axes, (title, matrix) in zip(panels, matrices.items(), strict=True):
        image = axes.imshow(matrix, origin="lower", vmin=0, vmax=1, cmap="magma")
        axes.grid(False)
        axes.set(title=title, xlabel=columns, ylabel=rows)
        _whole(axes.xaxis, axes.yaxis)
    figure.colorbar(image, ax=panels, label="linear CKA", shrink=0.9)
    return figure


def by_depth(curves: Mapping[str, Mapping[int, float]], ylabel: str, log: bool = False) -> Figure:
    """One line per name over depth."""
    figure, (axes,) = _panels(1, width=4.6, height=3.0)
    for place, (name, curve) in enumerate(curves.items()):
        axes.plot(list(curve), list(curve.values()), "o-", color=_CYCLE[place % len(_CYCLE)], label=name)
    axes.set(xlabel="depth", ylabel=ylabel, yscale="log" if log else "linear")
    _whole(axes.xaxis)
    if len(curves) > 1:
        axes.legend(fontsize=7)
    return figure


def spectrum(values: Mapping[int, np.ndarray]) -> Figure:
    """Singular values by depth, relative to the largest, against their rank."""
    figure, (axes,) = _panels(1, width=4.6, height=3.0)
    for depth, spectrum in values.items():
        shares = np.maximum(spectrum / spectrum[0], 1e-8)
        axes.plot(np.arange(1, len(shares) + 1), shares, color=_shade(depth, values), label=f"depth {depth}")
    axes.set(xlabel="rank", ylabel="singular value / largest", yscale="log")
    axes.legend(fontsize=7, ncols=-(-len(values) // 13))
    return figure


def heads(found: Mapping[int, Heads], uniform_distance: float, uniform_entropy: float) -> Figure:
    """Distance, entropy and diversity of each head by depth; dashed lines: uniform attention."""
    figure, panels = _panels(3, width=3.2, height=2.8)
    quantities = (
        ("distance", "attention distance (px)", uniform_distance),
        ("entropy", "attention entropy (nats)", uniform_entropy),
        ("diversity", "KL between heads (nats)", None),
    )
    for axes, (name, label, level) in zip(panels, quantities, strict=True):
        means = {}
        for depth, values in found.items():
            own = getattr(values, name).numpy()
            axes.plot([depth] * len(own), own, "o", color="#0072B2", alpha=0.5)
            means[depth] = own.mean()
        axes.plot(list(means), list(means.values()), color="#222222", linewidth=1.2)
        if level is not None:
            axes.axhline(level, color="#7f7f7f", linestyle="--", linewidth=1)
        axes.set(xlabel="depth", ylabel=label, ylim=(0, None))
        _whole(axes.xaxis)
    return figure


def gradients(curves: Mapping[int, Sequence[tuple[int, float]]]) -> Figure:
    """Norm of the gradient by step, one line per depth."""
    figure, (axes,) = _panels(1, width=4.6, height=3.0)
    for depth, points in curves.items():
        steps, norms = zip(*points, strict=True)
        axes.plot(steps, norms, color=_shade(depth, curves), label=f"depth {depth}", linewidth=1.2)
    axes.set(xlabel="step", ylabel="norm of the gradient", yscale="log")
    axes.legend(fontsize=7, ncols=-(-len(curves) // 13))
    return figure


def panels(rows: Mapping[str, np.ndarray]) -> Figure:
    """One row of panels "n h w 3" in [0, 1] for each name."""
    first = next(iter(rows.values()))
    figure, panels = _panels(len(rows), width=first.shape[0], height=1.25, columns=1)
    for axes, (name, row) in zip(panels, rows.items(), strict=True):
        axes.imshow(np.concatenate(list(row), axis=1), interpolation="nearest", aspect="equal")
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        axes.set_title(name, fontsize=7)
        for spine in axes.spines.values():
            spine.set_visible(False)
    return figure


def _panels(count: int, width: float, height: float, columns: int | None = None) -> tuple[Figure, list[Axes]]:
    columns = columns or min(count, 4)
    rows = -(-count // columns)
    figure = Figure(figsize=(width * columns + 0.6, height * rows + 0.3), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for spare in panels[count:]:
        spare.set_visible(False)
    return figure, panels[:count]


def _shade(depth: int, depths: Mapping[int, Any]) -> tuple[float, float, float]:
    """Colors from light to dark with depth."""
    share = (list(depths).index(depth) + 1) / len(depths)
    return (0.85 * (1 - share), 0.85 * (1 - share) + 0.25 * share, 0.9 - 0.35 * share)


def _whole(*axes: Any) -> None:
    for axis in axes:
        axis.set_major_locator(MaxNLocator(nbins=8, integer=True))

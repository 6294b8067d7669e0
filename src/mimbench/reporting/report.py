"""The report of a sweep on disk: one page of HTML, the same in Markdown, its tables and its figures."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from mimbench.reporting import curves, figures, html, latex, page, tables
from mimbench.reporting.collect import Sweep, collect
from mimbench.reporting.files import write_whole
from mimbench.reporting.palette import encode, style
from mimbench.reporting.pictures import reconstructions
from mimbench.reporting.summary import Summary, summarise

PAGE = "report.html"


def write_report(sweep_dir: Path, out: Path | None = None) -> Path:
    """Reads a sweep and writes its report to `out`, by default `sweep_dir/report`; returns the page.

    Raises:
        ValueError: The directory holds no runs.
    """
    sweep = collect(sweep_dir)
    return write(sweep, summarise(sweep), out or sweep_dir / "report")


def write(sweep: Sweep, summaries: list[Summary], out: Path, *, draw: bool = True) -> Path:
    """Writes tables, `figures/*.png` and `.svg`, `report.md` and last `report.html`; each file whole or not at all.

    The same sweep gives the same bytes. Without `draw` no figures are drawn as files; the page has them all the same.
    """
    warnings: list[str] = []
    logged = curves.losses(sweep.runs, warnings)
    pictures = reconstructions(sweep.finished, warnings)
    names = _write_figures(partial(figures.draw, sweep, summaries, logged), out / "figures") if draw else []
    warnings = [*sweep.warnings, *warnings]
    if summaries:
        write_whole(out / "table.csv", tables.csv(summaries))
        write_whole(out / "table.md", tables.markdown(summaries))
        write_whole(out / "table.tex", latex.latex(summaries))
    write_whole(out / "report.md", page.compose(sweep, summaries, figures=names, warnings=warnings, out=out))
    write_whole(out / PAGE, html.compose(sweep, summaries, logged, pictures, warnings=warnings, out=out))
    return out / PAGE


def _write_figures(make: Callable[[], dict[str, Figure | None]], out: Path) -> list[str]:
    with style():
        drawn = make()
        for name, figure in drawn.items():
            for kind in ("png", "svg"):
                path = out / f"{name}.{kind}"
                if figure is None:
                    # One of an earlier report would show runs that are gone.
                    path.unlink(missing_ok=True)
                else:
                    write_whole(path, encode(figure, kind))
    return [name for name, figure in drawn.items() if figure is not None]

"""The report of a sweep on disk: an HTML page, the same in Markdown, tables and figures."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from mimbench.core.files import write_atomic
from mimbench.reporting import curves
from mimbench.reporting.collect import Sweep, collect
from mimbench.reporting.figures import static
from mimbench.reporting.figures.palette import encode, style
from mimbench.reporting.figures.reconstructions import reconstructions
from mimbench.reporting.notices import notices
from mimbench.reporting.redaction import redact, redact_summaries, redact_sweep
from mimbench.reporting.render import html, latex, markdown, tables
from mimbench.reporting.summary import Summary, summarize
from mimbench.runs.directory import REPORT

PAGE = "report.html"


def write_report(sweep_dir: Path, out: Path | None = None) -> Path:
    """Reads a sweep and writes its report to `out`, by default `sweep_dir/report`; returns the path of the page.

    Raises:
        ValueError: The directory contains no runs.
    """
    sweep = collect(sweep_dir)
    return write(sweep, summarize(sweep), out or sweep_dir / REPORT)


def write(
    sweep: Sweep,
    summaries: list[Summary],
    out: Path,
    *,
    draw: bool = True,
    with_environment: bool = False,
    columns: Sequence[str] = (),
) -> Path:
    """Writes tables, `figures/*.png` and `.svg`, `report.md` and last `report.html`; returns the path of the page.

    Each file is written atomically. The same sweep gives the same bytes. Without `draw` no figure files are written;
    the page contains all figures in any case. `columns` are those of the LaTeX table; see `latex.check_columns`.
    """
    warnings: list[str] = []
    logged = curves.losses(sweep.runs, warnings)
    images = reconstructions(sweep.finished, warnings)
    names = _write_figures(partial(static.draw, sweep, summaries, logged), out / "figures") if draw else []
    if not with_environment:
        sweep, summaries, warnings = redact_sweep(sweep), redact_summaries(summaries), list(map(redact, warnings))
    warnings = [*sweep.warnings, *notices(sweep.runs), *warnings]
    if summaries:
        write_atomic(out / "table.csv", tables.csv(summaries))
        write_atomic(out / "table.md", tables.markdown(summaries))
        write_atomic(out / "table.tex", latex.latex(summaries, columns))
    write_atomic(out / "report.md", markdown.compose(sweep, summaries, figures=names, warnings=warnings, out=out))
    page = html.compose(sweep, summaries, logged, images, warnings=warnings, out=out, columns=columns)
    write_atomic(out / PAGE, page)
    return out / PAGE


def _write_figures(make: Callable[[], dict[str, Figure | None]], out: Path) -> list[str]:
    with style():
        drawn = make()
        for name, figure in drawn.items():
            for kind in ("png", "svg"):
                path = out / f"{name}.{kind}"
                if figure is None:
                    # The figure of an earlier report would show runs that no longer exist.
                    path.unlink(missing_ok=True)
                else:
                    write_atomic(path, encode(figure, kind))
    return [name for name, figure in drawn.items() if figure is not None]

"""The report of a sweep on disk: one page of Markdown, its tables and its figures."""

from pathlib import Path

from mimbench.reporting import figures, page, tables
from mimbench.reporting.collect import Sweep, collect
from mimbench.reporting.files import write_whole
from mimbench.reporting.palette import encode, style
from mimbench.reporting.summary import Summary, summarise


def write_report(sweep_dir: Path, out: Path | None = None) -> Path:
    """Reads a sweep and writes its report to `out`, by default `sweep_dir/report`; returns the page.

    Raises:
        ValueError: The directory holds no runs.
    """
    sweep = collect(sweep_dir)
    return write(sweep, summarise(sweep), out or sweep_dir / "report")


def write(sweep: Sweep, summaries: list[Summary], out: Path, *, draw: bool = True) -> Path:
    """Writes `table.csv`, `table.md`, `figures/*.png` and `.svg`, and last `report.md`; each file whole or not at all.

    The same sweep gives the same bytes. Without `draw` figures are neither drawn nor shown.
    """
    warnings: list[str] = []
    names = _write_figures(sweep, summaries, out / "figures", warnings) if draw else []
    write_whole(out / "table.csv", tables.csv(summaries))
    write_whole(out / "table.md", tables.markdown(summaries))
    text = page.compose(sweep, summaries, figures=names, warnings=[*sweep.warnings, *warnings], out=out)
    write_whole(out / "report.md", text)
    return out / "report.md"


def _write_figures(sweep: Sweep, summaries: list[Summary], out: Path, warnings: list[str]) -> list[str]:
    with style():
        drawn = figures.draw(sweep, summaries, warnings)
        for name, figure in drawn.items():
            for kind in ("png", "svg"):
                path = out / f"{name}.{kind}"
                if figure is None:
                    # One of an earlier report would show runs that are gone.
                    path.unlink(missing_ok=True)
                else:
                    write_whole(path, encode(figure, kind))
    return [name for name, figure in drawn.items() if figure is not None]

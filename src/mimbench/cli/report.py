"""`mimbench report`: which method is best, by how much, at what cost, and which runs have not finished."""

import argparse
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mimbench.runs.directory import REPORT

if TYPE_CHECKING:
    from mimbench.reporting.collect import Sweep


def main(argv: list[str]) -> int:
    """Prints the comparison and writes the report; exit status 2 if there are no runs."""
    arguments = _parser().parse_args(argv)
    # Importing pandas, scipy and matplotlib takes a second; --help does not need them.
    from mimbench.reporting import archive

    try:
        with archive.opened(arguments.source) as sweep:
            return _report(sweep, arguments)
    except ValueError as error:
        return _refuse(str(error))


def _report(sweep: "Sweep", arguments: argparse.Namespace) -> int:
    from mimbench.cli.console import Console
    from mimbench.reporting import archive, report, summary
    from mimbench.reporting.render import latex, terminal

    summaries = summary.summarize(sweep)
    source: Path = arguments.source
    out = arguments.out or (source.with_suffix("") if source.is_file() else source) / REPORT
    options = {"draw": arguments.figures, "with_environment": arguments.with_environment}
    columns = latex.check_columns(summaries, [name for name in arguments.latex_columns.split(",") if name])
    written: list[str] = []
    failed: OSError | None = None
    try:  # before the table is printed, since its reader (such as head) may end this command
        path = report.write(sweep, summaries, out, columns=columns, **options)
        written.append(f"Report: {path}")
        if arguments.archive:
            number = archive.write(sweep, arguments.archive)
            omitted = len(sweep.runs) - number
            note = f"; {omitted} without a record left out" if omitted else ""
            written.append(f"Archive: {arguments.archive}, {number} runs{note}")
    except OSError as error:
        failed = error
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # for terminals that cannot encode ± or ▲
    width = max(Console().width, terminal.WIDTH)
    terminal.show(sweep, summaries, Console(width=width, highlight=False))
    for line in written:
        print(f"\n{line}")
    if failed:
        which, option = ("archive", "--archive") if written else ("report", "--out")
        return _refuse(f"The {which} cannot be written ({failed}). Choose another place with {option}.")
    return 0


def _refuse(message: str) -> int:
    print(f"mimbench report: {message}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mimbench report", description=__doc__, allow_abbrev=False)
    parser.add_argument("source", metavar="DIR", type=Path, help="directory of a sweep, or a file written by --archive")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where to write the report (default: DIR/report)")
    parser.add_argument(
        "--archive", metavar="FILE", type=Path, help="also write all results to one file, which this command can read"
    )
    parser.add_argument(
        "--with-environment", action="store_true", help="include host names and absolute paths in the report"
    )
    parser.add_argument(
        "--latex-columns",
        metavar="A,B",
        default="",
        help="columns of table.tex behind the method: protocols, published, flops, minutes, hours "
        "(default: all protocols, published numbers if there are any, flops)",
    )
    parser.add_argument("--no-figures", dest="figures", action="store_false", help="write tables only, which is faster")
    return parser

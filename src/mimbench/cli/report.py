"""`mimbench report`: which method wins, by how much, at what cost, and what did not finish."""

import argparse
import io
import sys
from pathlib import Path

from mimbench.runs.directory import REPORT


def main(argv: list[str]) -> int:
    """Prints the comparison and writes the report; 2 where there is nothing to report on."""
    arguments = _parser().parse_args(argv)
    # pandas, scipy and matplotlib take a second to import; --help need not wait for them.
    from mimbench.reporting import archive

    try:
        with archive.opened(arguments.source) as directory:
            return _report(directory, arguments)
    except ValueError as error:
        return _refuse(str(error))


def _report(directory: Path, arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from mimbench.reporting import archive, report, summary
    from mimbench.reporting.collect import collect
    from mimbench.reporting.render import terminal

    sweep = collect(directory)
    summaries = summary.summarize(sweep)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # A terminal without ± or ▲ still gets its table.
    width = max(Console().width, terminal.WIDTH)
    terminal.show(sweep, summaries, Console(width=width, highlight=False))
    source: Path = arguments.source
    try:
        out = arguments.out or (source.with_suffix("") if source.is_file() else source) / REPORT
        shown = arguments.with_environment
        path = report.write(sweep, summaries, out, draw=arguments.figures, with_environment=shown)
        if arguments.archive:
            number = archive.write(sweep, arguments.archive)
            left = len(sweep.runs) - number
            print(f"\nArchive: {arguments.archive}, {number} runs" + f"; {left} without a record left out" * (left > 0))
    except OSError as error:
        return _refuse(f"the report cannot be written ({error}). Choose another folder with --out.")
    print(f"\nReport: {path}")
    return 0


def _refuse(message: str) -> int:
    print(f"mimbench report: {message}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mimbench report", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "source", metavar="DIR", type=Path, help="directory of a sweep: runs and sweep.json; or a file of --archive"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help="where to write the report (default: DIR/report)")
    parser.add_argument(
        "--archive", metavar="FILE", type=Path, help="also write all results into one file that this command reads"
    )
    parser.add_argument(
        "--with-environment", action="store_true", help="also write host names and absolute paths into the report"
    )
    parser.add_argument("--no-figures", dest="figures", action="store_false", help="tables only, which is faster")
    return parser

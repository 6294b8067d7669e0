"""`mimbench runs`: the runs of several sweeps and their results."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mimbench.core.errors import UserError, nearest
from mimbench.runs import directory, records
from mimbench.runs.conditions import Condition, all_hold, parse
from mimbench.runs.frames import describe, find_runs, tabulate
from mimbench.runs.records import AXES, Record

_WIDTH = 140


def main(argv: list[str]) -> int:
    """Prints or writes the results of the runs that meet all conditions; 2 if there is none."""
    arguments = _parser().parse_args(argv)
    try:
        conditions = [parse(text) for text in arguments.where]
        found = _select(arguments.directories or [Path("runs")], conditions)
        _show(found, arguments.format, arguments.out)
    except (ValueError, UserError) as error:
        print(f"mimbench runs: {error}", file=sys.stderr)
        return 2
    return 0


def _select(paths: Sequence[Path], conditions: Sequence[Condition]) -> dict[Path, Record]:
    """The records of the runs that meet the conditions; unreadable ones are named and left out."""
    found = find_runs(paths)
    if not found:
        raise UserError(f"There are no runs in {', '.join(map(str, paths))}; give sweeps or folders of sweeps.")
    known: set[str] = set()
    selected: dict[Path, Record] = {}
    for run in found:
        try:
            record = records.read(run / directory.RECORD)
            values = _values(run, record, any("." in condition.key for condition in conditions))
        except ValueError as error:
            print(f"{error} The run is left out.", file=sys.stderr)
            continue
        known |= values.keys()
        if all_hold(conditions, values):
            selected[run] = record
    if unknown := [condition.key for condition in conditions if condition.key not in known]:
        raise UserError(f"No run has the key '{unknown[0]}'.{nearest(unknown[0], known)}")
    if not selected:
        raise UserError(f"None of the {len(found)} runs meets all conditions.")
    return selected


def _values(run: Path, record: Record, with_config: bool) -> dict[str, Any]:
    """What conditions can ask for: the columns of a run, its axes and, if wanted, its configuration by dotted key."""
    from mimbench.core.dotted import flatten

    config: dict[str, Any] = {}
    if with_config:
        with suppress(ValueError):
            config = flatten(directory.config(run))
    return {**config, **record.axes, **describe(record)}


def _show(found: Mapping[Path, Record], kind: str, out: Path | None) -> None:
    if kind == "parquet" and (out is None or not (find_spec("pyarrow") or find_spec("fastparquet"))):
        raise UserError("--format parquet needs " + ("--out FILE." if out is None else "the package pyarrow."))
    table = tabulate(found)
    if kind == "table":
        _print(table, len(found), out)
    elif kind == "csv":
        text = table.to_csv(index=False)
        _write(text.encode(), out)
    else:
        _write(table.to_parquet(index=False), out)


def _write(content: bytes, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(content.decode())
        return
    from mimbench.core.files import write_atomic

    try:
        write_atomic(out, content)
    except OSError as error:
        raise UserError(f"--out {out} cannot be written ({error.strerror or error}).") from error


def _print(table: Any, count: int, out: Path | None) -> None:
    """One row per run, its results in percent; values that all runs share are printed once."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from mimbench.cli.console import Console

    if out is not None:
        raise UserError("--out goes with --format csv or parquet.")
    console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
    fixed = ["sweep", *AXES, "state", "version", *_further(table)]
    rows = table.drop_duplicates("run").set_index("run")[fixed].astype(object)
    rows = rows.where(rows.notna(), "").map(str)
    varied = [key for key in fixed if key in AXES or rows[key].nunique() > 1]
    results = table[table["step"].isna()].dropna(subset=["value"])
    protocols = list(dict.fromkeys(results["protocol"]))
    values = {(row.run, row.protocol): 100 * row.value for row in results.itertuples()}
    shown = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for key in varied:
        shown.add_column(key, overflow="fold")
    for protocol in protocols:
        shown.add_column(Text(protocol), justify="right", no_wrap=True)
    for run in rows.index:
        cells = [rows.at[run, key] for key in varied]
        scores = [f"{values[run, protocol]:.1f}" if (run, protocol) in values else "" for protocol in protocols]
        shown.add_row(*map(Text, (*cells, *scores)))
    console.print(shown)
    common = [f"{key}={rows[key].iloc[0]}" for key in fixed if key not in varied and rows[key].iloc[0]]
    console.print(
        f"\n{count} run{'s' * (count != 1)}. All: {' '.join(common)}. Results in percent.", style="dim", markup=False
    )


def _further(table: Any) -> list[str]:
    """The further axes of the runs, which are the last columns."""
    columns = list(table.columns)
    return columns[columns.index("training_flops") + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mimbench runs",
        usage="mimbench runs [DIR ...] [--where KEY=VALUE 'KEY>=NUMBER' ...] [--format table|csv|parquet] [--out FILE]",
        description="Lists the runs of sweeps with their results, filtered by axes, state, version or any key of their "
        "configuration. In Python, mimbench.runs.frame(paths) returns the same as a pandas frame.",
        epilog="Conditions with < or > need quotes, or the shell takes them for redirections: "
        "mimbench runs runs --where method=mirl 'depth>=12' optim.base_lr=1e-3",
        allow_abbrev=False,
    )
    parser.add_argument("directories", metavar="DIR", nargs="*", type=Path, help="sweeps or folders (default: runs)")
    parser.add_argument("--where", metavar="CONDITION", nargs="+", default=[], help="all must hold; seed=0,1 is either")
    parser.add_argument("--format", choices=("table", "csv", "parquet"), default="table", help="(default: %(default)s)")
    parser.add_argument("--out", metavar="FILE", type=Path, help="where to write CSV (default: here) or Parquet")
    return parser

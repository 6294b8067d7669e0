"""All results below directories as a pandas frame."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mimbench.core.files import walk
from mimbench.runs import records
from mimbench.runs.directory import RECORD
from mimbench.runs.records import AXES, BY_STEP, Record

if TYPE_CHECKING:
    import pandas as pd

_FIXED = ("run", "sweep", "identity", "version", "state", *AXES)
_RESULT = ("protocol", "metric", "value", "num_test", "step")
_COSTS = ("images_seen", "train_seconds", "device_seconds", "training_flops")
_COLUMNS = (*_FIXED, *_RESULT, *_COSTS)


def frame(paths: str | Path | Iterable[str | Path]) -> "pd.DataFrame":
    """All results of the runs below directories: one row per run and result, one for a run without results.

    Columns: run (its directory), sweep, identity, version (of mimbench), state, method, encoder, depth, data, seed;
    protocol, metric and value (the headline: a fraction, `accuracy` for most protocols), num_test (test images, NaN if
    the headline is not a share of them), step (optimizer steps of a checkpoint, NaN for the finished encoder);
    images_seen, train_seconds, device_seconds, training_flops; then the further axes of the runs by name.

    Args:
        paths: Runs, sweeps or folders of sweeps; a single one may stand alone.

    Raises:
        ValueError: A path is no directory, or a record cannot be read; the message names it.
    """
    return tabulate({run: records.read(run / RECORD) for run in find_runs(paths)})


def tabulate(found: Mapping[Path, Record]) -> "pd.DataFrame":
    """The frame of records by the directory of their run; see `frame`."""
    import pandas as pd

    rows = [row for run, record in found.items() for row in _rows(run, record)]
    further = dict.fromkeys(key for row in rows for key in row if key not in _COLUMNS)
    table = pd.DataFrame(rows, columns=[*_COLUMNS, *further])
    numbers = ("value", "num_test", "step", *_COSTS)
    return table.astype(dict.fromkeys(numbers, float))


def find_runs(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """The directories with a record at or below paths, sorted by path.

    Raises:
        ValueError: A path is no directory.
    """
    found: dict[Path, None] = {}
    for path in map(Path, [paths] if isinstance(paths, (str, Path)) else paths):
        if not path.is_dir():
            raise ValueError(f"There is no directory {path}; expected a run, a sweep or a folder of sweeps.")
        for folder, below, names in walk(path):
            if RECORD in names:
                found[folder] = None
                below.clear()
    return list(found)


def _rows(run: Path, record: Record) -> Iterator[dict[str, Any]]:
    fixed = {"run": str(run), **describe(record)}
    costs = {key: value for key in _COSTS if isinstance(value := record.cost.get(key), (int, float))}
    further = {key: _plain(value) for key, value in record.axes.items() if key not in _COLUMNS}
    results = list(_results(record.metrics))
    for result in results or [{}]:
        yield {**fixed, **result, **costs, **further}


def describe(record: Record) -> dict[str, Any]:
    """The columns of a run that do not depend on a result."""
    version = record.environment.get("mimbench")
    axes = {axis: record.axes[axis] for axis in AXES}
    return {
        "sweep": record.sweep,
        "identity": record.identity,
        "version": version if isinstance(version, str) else "",
        "state": record.status,
        **axes,
    }


def _results(metrics: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    by_step = metrics.get(BY_STEP)
    of_steps = by_step.items() if isinstance(by_step, Mapping) else ()
    finished = ((name, None, result) for name, result in metrics.items())
    earlier = (
        (name, step, result) for name, steps in of_steps if isinstance(steps, Mapping) for step, result in steps.items()
    )
    for name, step, result in (*finished, *earlier):
        if (headline := records.headline(result)) is not None:
            number = float(step) if step is not None and str(step).isdecimal() else None
            yield {
                "protocol": name,
                "metric": headline.name,
                "value": headline.value,
                "num_test": headline.num_test,
                "step": number,
            }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, (list, dict)) else value

"""A run on disk: all its file names, its configuration and its newest checkpoint.

    runs/SWEEP/                       a sweep
        sweep.json                    its planned runs                               runs/manifest
        .sweep.lock                   held while sweep.json is rewritten
        RUN/                          a run, named by method, depth, dataset and seed
            record.json               state, axes, results, cost, environment        runs/records
            config.yaml               the resolved configuration                     config()
            metrics.csv               losses and learning rates by step              training/metrics
            progress.json             step, rate and time left, while it trains      training/progress
            log.txt                   output of a run of a sweep
            slurm.json                its job, if SLURM runs it                      experiments/launch
            checkpoints/
                last.ckpt             the newest one                                 checkpoint()
                previous.ckpt         the one before it
                damaged.ckpt          set aside when training resumed
            encoder.safetensors       the encoder after pre-training                 weights/store
            evaluation/
                knn-v1.json           a result; of a checkpoint, knn-v1@step500.json runs/results
                knn-v1.npz            which test images were right                   runs/correctness
                .lock                 held while results are computed
                trackers/             files of trackers for `mimbench evaluate`
            analysis/                 numbers of `mimbench analyze`
            figures/                  reconstructions, figures of analyses
            wandb/, tensorboard/      files of trackers
            .lock, .holder.json       held by the process that works on the run      runs/lock
            .record.lock              held while record.json is rewritten
        report/                       what `mimbench report` writes

Files are replaced atomically (core/files), except metrics.csv and log.txt, which grow.
"""

import json
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from mimbench.core.text import printable_tree
from mimbench.runs.renamed import current

SWEEP, SWEEP_LOCK = "sweep.json", ".sweep.lock"
RECORD, RECORD_LOCK = "record.json", ".record.lock"
CONFIG = "config.yaml"
METRICS, PROGRESS, LOG, SLURM_JOB = "metrics.csv", "progress.json", "log.txt", "slurm.json"
CHECKPOINTS = "checkpoints"
LAST, PREVIOUS, DAMAGED = "last.ckpt", "previous.ckpt", "damaged.ckpt"
ENCODER = "encoder.safetensors"
EVALUATION, EVALUATION_LOCK, ANALYSIS, FIGURES, REPORT = "evaluation", ".lock", "analysis", "figures", "report"
RECONSTRUCTIONS, RECONSTRUCTIONS_LEGEND = "reconstructions.png", "reconstructions.json"
LOCK, HOLDER = ".lock", ".holder.json"

# A configuration has a few hundred values; YAML aliases of a hostile file could stand for any number.
_MAX_BYTES, _MAX_VALUES, _MAX_DEPTH = 1 << 20, 50_000, 50
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def is_run(path: Path) -> bool:
    """Whether a directory holds a run that has started."""
    return (path / CONFIG).is_file() or (path / RECORD).is_file()


def is_sweep(path: Path) -> bool:
    """Whether a directory holds runs, or a plan of runs."""
    return (path / SWEEP).is_file() or any(path.glob(f"*/{RECORD}"))


def config(run: Path) -> dict[str, Any]:
    """The resolved configuration of a run, nested, with current names of keys and targets.

    Raises:
        ValueError: The file is missing, or is not a mapping of plain values; the message names it.
    """
    path = run / CONFIG
    try:
        if not path.is_file():
            raise FileNotFoundError("there is no such file")
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"it is larger than {_MAX_BYTES >> 20} MB")
        values = yaml.load(path.read_text(encoding="utf-8"), _LOADER)
        if not isinstance(values, Mapping):
            raise ValueError("it is not a mapping")
        for number, _ in enumerate(_values(values, 0)):
            if number > _MAX_VALUES:
                raise ValueError(f"it has more than {_MAX_VALUES} values")
        plain = printable_tree(json.loads(json.dumps(values)))
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"{path} is not the configuration of a run: {reason}.") from error
    return current(plain)


def checkpoint(run: Path, set_aside: bool = False) -> Path | None:
    """The newest complete checkpoint of a run: the last one, or the previous one if the last is damaged; else None.

    A checkpoint is complete if the checksums in its archive match, which PyTorch does not verify.

    Args:
        set_aside: Whether damaged checkpoints are renamed and reported on stderr.
    """
    for path in (run / CHECKPOINTS / LAST, run / CHECKPOINTS / PREVIOUS):
        if not path.is_file():
            continue
        try:
            with zipfile.ZipFile(path) as archive:
                if archive.testzip() is None:
                    return path
        except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError):
            pass
        if set_aside:
            with suppress(FileNotFoundError):  # another rank renamed it first
                path.replace(path.with_name(DAMAGED))
                print(f"{path} is damaged and was renamed to {DAMAGED}; an older state is used.", file=sys.stderr)
    return None


def _values(tree: Any, depth: int) -> Iterator[Any]:
    """All values of a tree; an alias counts every time it is used."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"it is nested more than {_MAX_DEPTH} levels deep")
    if isinstance(tree, Mapping):
        for value in tree.values():
            yield from _values(value, depth + 1)
    elif isinstance(tree, list):
        for value in tree:
            yield from _values(value, depth + 1)
    yield tree

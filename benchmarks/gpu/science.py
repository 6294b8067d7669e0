"""Stage 3: the claims about depth on Fashion-MNIST, seed by seed; small runs share the GPU."""

import json
import shutil
import signal
import statistics
import subprocess
import sys
import tarfile
import time
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.gpu.checks import Check, PauseCheck, Setting
from mimbench.core.files import write_atomic

SLOTS = (4, 8, 16)
SEEDS = range(10)
ARCHIVE, DATA = "science.jsonl", "fashion_mnist.tar"
CONF = Path(__file__).parent / "conf"
SWEEP = ("+ablation=claims_by_depth", "method=untrained,mae,deepmim,localmim,mirl", "encoder.depth=12,24,48")
TINY = ("experiment=demo", "method=untrained,mae", "encoder.depth=2", "encoder.width=16", "encoder.num_heads=2")
STOPPING = 60.0  # seconds for the runs to save, and for the archive
_PROBE_STEPS = 200


def checks(setting: Setting) -> list[Check]:
    """How many runs should share the GPU, then one check per seed."""
    first = Check("runs per GPU", measure_slots, 0 if setting.rehearsal else 150)
    seeds = list(SEEDS)[:1] if setting.rehearsal else SEEDS
    least = 0 if setting.rehearsal else STOPPING + 40
    return [first, *(Check(f"seed {seed}", partial(run_seed, seed=seed), least) for seed in seeds)]


def measure_slots(setting: Setting) -> Mapping[str, Any]:
    """Steps per second of all runs together, from start to end, for several numbers of runs at a time."""
    if setting.rehearsal:
        return {"chosen": 1}
    found = {}
    for slots in SLOTS:
        seeds = ",".join(str(1000 * slots + number) for number in range(slots))
        words = ["+ablation=claims_by_depth", "method=mae", "encoder.depth=24", f"seed={seeds}", "protocol=[]"]
        words += ["~budget.epochs", "budget=steps", f"budget.steps={_PROBE_STEPS}", f"sweep=slots{slots}"]
        begin = time.monotonic()
        sweep = _sweep(setting, words, slots)
        if sweep.wait(max(1.0, setting.limit - (time.monotonic() - begin))):
            raise RuntimeError(f"{slots} runs at a time failed; see the log.")
        found[slots] = slots * _PROBE_STEPS / (time.monotonic() - begin)
    rates = {f"steps/s of {slots} runs": rate for slots, rate in found.items()}
    return {"chosen": max(found, key=lambda slots: found[slots]), **rates}


def run_seed(setting: Setting, seed: int) -> Mapping[str, Any]:
    """All methods and depths with one seed, and the results of all seeds in one file.

    Raises:
        PauseCheck: Time is up. The runs have saved, and go on in the next call on the same machine.
    """
    begin = time.monotonic()
    restore(setting)
    stored = json.loads((setting.output / "science.json").read_text())["checks"]
    slots = stored.get("runs per GPU", {}).get("values", {}).get("chosen", SLOTS[0])
    sweep = _sweep(setting, [*(TINY if setting.rehearsal else SWEEP), f"seed={seed}"], slots)
    try:
        status = sweep.wait(max(1.0, setting.limit - STOPPING - (time.monotonic() - begin)))
    except subprocess.TimeoutExpired:
        sweep.send_signal(signal.SIGINT)
        sweep.wait()
        raise PauseCheck(f"paused; {_archive(setting)} runs have finished") from None
    finished = _archive(setting)
    if status:
        raise RuntimeError(f"The sweep ended with status {status}.")
    return {"finished runs": finished, "runs per GPU": slots}


def _sweep(setting: Setting, words: list[str], slots: int) -> subprocess.Popen[bytes]:
    where = [f"paths.runs={setting.work / 'runs'}", f"paths.data={_data(setting)}"]
    if setting.rehearsal:
        where += [
            "data=digits",
            "budget.epochs=1",
            "sweep=claims_by_depth",
            "protocol=[knn]",
            "trainer.accelerator=cpu",
        ]
        where += ["hydra.launcher.slots=1"]
    else:
        where += [f"hydra.launcher.slots_per_gpu={slots}"]
    command = [sys.executable, "-m", "mimbench", "run", f"--config-dir={CONF}", "-m", *words, *where]
    return subprocess.Popen(command)


def _data(setting: Setting) -> Path:
    """Unpacks Fashion-MNIST, which travels as one file."""
    folder, packed = setting.work / "data", setting.kit / DATA
    if packed.exists() and not folder.exists():
        with tarfile.open(packed) as files:
            files.extractall(folder, filter="data")
    return folder


def restore(setting: Setting) -> int:
    """Runs that have finished on another machine are not run again; returns how many are taken from the archive."""
    from mimbench.reporting import archive

    path, number = setting.output / ARCHIVE, 0
    if path.exists():
        with archive.opened(path) as sweep:
            for run in sweep.runs:
                target = _runs(setting) / run.name
                if run.directory is not None and not target.exists():
                    shutil.copytree(run.directory, target)
                    number += 1
    return number


def _runs(setting: Setting) -> Path:
    return setting.work / "runs" / "claims_by_depth"


def _archive(setting: Setting) -> int:
    """Writes the archive and the tables of all finished runs; returns their number."""
    from mimbench.reporting import archive
    from mimbench.reporting.claims import verdicts
    from mimbench.reporting.collect import collect

    sweep = collect(_runs(setting))
    archive.write(sweep, setting.output / ARCHIVE)
    values: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in sweep.finished:
        assert run.record is not None
        for protocol in ("knn-v1", "linear-v1"):
            if protocol in run.record.metrics:
                accuracy = run.record.metrics[protocol]["accuracy"]
                values[run.axes["method"], run.axes["depth"]][protocol].append(100 * accuracy)
    lines = ["# Accuracy on test images, per cent, mean ± standard deviation over seeds", ""]
    lines += ["| method | depth | seeds | kNN | linear |", "|---|--:|--:|--:|--:|"]
    for (method, depth), found in sorted(values.items()):
        cells = [_mean(found[protocol]) for protocol in ("knn-v1", "linear-v1")]
        lines.append(f"| {method} | {depth} | {max(map(len, found.values()))} | {' | '.join(cells)} |")
    lines += ["", "# Claims", "", *(f"- {verdict.text}" for verdict in verdicts(sweep))]
    write_atomic(setting.output / "science_results.md", "\n".join(lines) + "\n")
    return len(sweep.finished)


def _mean(values: list[float]) -> str:
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"

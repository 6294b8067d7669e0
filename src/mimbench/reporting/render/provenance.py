"""Provenance of the numbers, for every page: latest result, logs, protocols, versions, and how numbers are computed."""

import os
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from mimbench.reporting.collect import Sweep, frame, groups
from mimbench.reporting.runs import Run
from mimbench.runs.directory import LOG

METHOD = (
    "Only finished runs count. Every number is the result of the last weights; none is a maximum over epochs.",
    "Mean, standard deviation (n - 1) and 95 % interval over seeds: Student t, for the given test images. With one "
    "seed, or seeds with exactly equal results, the interval (†) is Wilson's over the test images; it gives no "
    "information about other seeds.",
    "Differences to the untrained encoder of the same data, encoder and depth, and to the best method there: paired t "
    "over shared seeds; Welch's t if fewer than two seeds are shared.",
    "If runs stored which test images they classified correctly, they are also compared on the same images, with a "
    "bootstrap interval (2,000 resamples, percentiles) and a paired t test over the images. Both tests, over seeds and "
    "over images, must separate two methods. With one seed (†) only the one over images is available; if results of "
    "single images are not known, it is Newcombe's interval of two proportions with a chi-squared test.",
    "≈ within noise: not different at 5 % after Holm's correction over all comparisons of the table: every method with "
    "the untrained encoder, and all pairs of methods, because the best one is chosen by the same numbers that show its "
    "lead. Intervals are not corrected.",
    "FLOPs, images per second, minutes and hours are means over the finished runs. Minutes are training time only; CPU "
    "hours and GPU hours are training time multiplied by the number of devices. A device is a GPU, or the whole "
    "processor if there is no GPU.",
    "Published numbers are from the papers: measured with other code and, unless stated otherwise, other data. They "
    "are used in no other number but the rank correlation of an ablation's rows.",
)


class Link(NamedTuple):
    """Name and relative address of a file."""

    name: str
    address: str


def latest(sweep: Sweep) -> str:
    """The time at which the last run finished, `2026-11-27 14:49 UTC`; empty if none did."""
    times = [run.record.finished for run in sweep.finished if run.record and run.record.finished]
    last = max(times, default="")
    return last.replace("T", " ")[:16] + " UTC" if last.endswith("+00:00") else last


def log(sweep: Sweep, run: Run, out: Path) -> Link | None:
    """The log of a run, or its directory if it has no log, relative to `out`; None if they are not kept."""
    if run.directory is None or sweep.archived:
        return None
    file = run.directory / LOG
    path = file if file.is_file() else run.directory
    return Link(path.name, quote(Path(os.path.relpath(path, out)).as_posix()))


def protocols(sweep: Sweep) -> dict[str, str]:
    """By protocol `1000 test images`; empty if the number is unknown."""
    texts = {}
    for (protocol,), rows in groups(frame(sweep.finished), ["protocol"]):
        counts = " or ".join(f"{count:.0f}" for count in sorted(rows["num_test"].dropna().unique()))
        texts[protocol] = f"{counts} test images" if counts else ""
    return texts


def versions(sweep: Sweep) -> dict[str, str]:
    """Versions and devices of the finished runs by name; with the number of runs if these differ."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for run in sweep.finished:
        for name, value in (run.record.environment if run.record else {}).items():
            found[name]["unknown" if value is None else str(value)] += 1
    return {
        name: ", ".join(value if len(counts) == 1 else f"{value} ({n} runs)" for value, n in sorted(counts.items()))
        for name, counts in sorted(found.items())
    }

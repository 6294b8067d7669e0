"""Results that are logged to trackers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mimbench.experiments.trackers import log_results, tracker_id


class Tracker:
    """A tracker that stores the values."""

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}
        self.summary: dict[str, float] = {}
        self.curves: list[str] = []

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        self.metrics |= metrics

    def log_summary(self, values: Mapping[str, float]) -> None:
        self.summary |= values

    def log_curves(self, name: str, depths: Sequence[int], curves: Mapping[str, Sequence[float]]) -> None:
        self.curves.append(name)


def test_a_name_with_dots_stays_one_part_of_its_key() -> None:
    tracker = Tracker()
    result: dict[str, Any] = {"accuracy": 0.5, "deviations": {"lrs": 0.1}}
    log_results([tracker], {"linear-v1+lrs=0.1": result}, cost={"parameters": {"encoder": 3}})
    expected = {"linear-v1+lrs=0.1/accuracy": 0.5, "linear-v1+lrs=0.1/deviations/lrs": 0.1}
    assert tracker.metrics == expected
    assert tracker.summary == expected | {"cost/parameters/encoder": 3.0}


def test_a_second_sweep_is_another_run_of_the_trackers(tmp_path: Path) -> None:
    assert tracker_id("0123456789ab", "demo", tmp_path) == "0123456789ab-demo"
    assert tracker_id("0123456789ab", "demo2", tmp_path) != tracker_id("0123456789ab", "demo", tmp_path)


def test_names_of_sweeps_become_letters_digits_and_hyphens_and_stay_different(tmp_path: Path) -> None:
    names = ["a b", "a-b", "a/b", "ä", "x" * 60, "x" * 61, "-"]
    ids = [tracker_id("0123456789ab", name, tmp_path) for name in names]
    assert len(set(ids)) == len(names)
    assert all(set(one) <= set("0123456789abcdefghijklmnopqrstuvwxyz-") and len(one) <= 64 for one in ids)


def test_a_run_of_0_1_0_goes_on_under_its_id(tmp_path: Path) -> None:
    (tmp_path / "wandb" / "offline-run-20260101_000000-0123456789ab").mkdir(parents=True)
    assert tracker_id("0123456789ab", "demo", tmp_path) == "0123456789ab"

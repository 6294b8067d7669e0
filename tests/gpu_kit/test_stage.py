"""A stage keeps what it has found, goes on where it stopped, and ends within its budget."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import misbehaving
import pytest

from benchmarks.gpu.checks import Check, Goal, Setting
from benchmarks.gpu.process import execute, judge
from benchmarks.gpu.stage import Results, run_stage
from benchmarks.gpu.table import table
from mimbench.core.errors import UserError

ABOUT = {"device": "H100", "torch": "2.11.0"}


class Machine:
    """Executes checks without computing: each takes its expected time, and fails or is cut off as told."""

    def __init__(self, failing: set[str] | None = None, cut_at: str | None = None):
        self.now, self.called, self.limits = 0.0, list[str](), dict[str, float]()
        self.failing, self.cut_at = failing or set(), cut_at

    def clock(self) -> float:
        return self.now

    def execute(self, check: Check, setting: Setting, limit: float) -> dict[str, Any]:
        self.called.append(check.name)
        self.limits[check.name] = limit
        if check.name == self.cut_at:
            raise KeyboardInterrupt
        self.now += check.seconds
        return {"status": "failed", "error": "wrong"} if check.name in self.failing else {"status": "passed"}

    def run(self, checks: list[Check], path: Path, budget: float = 1000) -> Results:
        results = Results(path, ABOUT)
        run_stage(checks, setting(path.parent), results, self.now + budget, self.clock, self.execute)
        return results


def setting(folder: Path, rehearsal: bool = True) -> Setting:
    return Setting("cpu", rehearsal, folder, folder, folder)


def nothing(_: Setting) -> Mapping[str, Any]:
    raise AssertionError("never called")


CHECKS = [Check(name, nothing, seconds) for name, seconds in (("a", 100), ("b", 200), ("c", 50))]


def stored(path: Path) -> dict[str, str]:
    return {name: outcome["status"] for name, outcome in json.loads(path.read_text())["checks"].items()}


def test_a_second_call_runs_only_what_is_not_done(tmp_path: Path) -> None:
    path = tmp_path / "stage.json"
    first, second = Machine(), Machine()
    first.run(CHECKS[:2], path)
    second.run(CHECKS, path)
    assert (first.called, second.called) == (["a", "b"], ["c"])
    assert stored(path) == {"a": "passed", "b": "passed", "c": "passed"}


def test_every_result_is_stored_before_the_next_check_begins(tmp_path: Path) -> None:
    path, machine = tmp_path / "stage.json", Machine(cut_at="b")
    with pytest.raises(KeyboardInterrupt):
        machine.run(CHECKS, path)
    assert stored(path) == {"a": "passed", "b": "begun"}


def test_what_was_cut_off_comes_after_what_has_not_begun(tmp_path: Path) -> None:
    path = tmp_path / "stage.json"
    with pytest.raises(KeyboardInterrupt):
        Machine(cut_at="a").run(CHECKS, path)
    machine = Machine(failing={"b"})
    machine.run(CHECKS, path)
    assert machine.called == ["b", "c", "a"]
    again = Machine()
    again.run(CHECKS, path)
    assert again.called == ["b"]


def test_no_check_begins_that_takes_longer_than_what_is_left(tmp_path: Path) -> None:
    path, machine = tmp_path / "stage.json", Machine()
    machine.run(CHECKS, path, budget=250)
    assert machine.called == ["a", "c"]
    assert machine.limits == {"a": 250, "c": 150}
    assert machine.now <= 250
    assert stored(path) == {"a": "passed", "c": "passed"}


def test_results_of_two_machines_are_not_mixed(tmp_path: Path) -> None:
    path = tmp_path / "stage.json"
    Machine().run(CHECKS, path)
    with pytest.raises(UserError, match="Choose another --output"):
        Results(path, ABOUT | {"device": "A100"})


def test_goals_are_judged_by_values() -> None:
    check = Check("speed", nothing, 1, {"mfu": Goal(0.5), "seconds": Goal(60, upper=True), "unknown": Goal(1)})
    passed = {"status": "passed", "values": {"mfu": 0.5, "seconds": 60.0, "unknown": None}}
    assert judge(passed, check)["status"] == "passed"
    missed = judge({"status": "passed", "values": {"mfu": 0.49, "seconds": 61.0, "unknown": 2}}, check)
    assert (missed["status"], missed["missed"]) == ("short", ["mfu", "seconds"])
    with pytest.raises(KeyError, match="mfu"):  # a renamed value does not pass unseen
        judge({"status": "passed", "values": {"seconds": 1.0}}, check)


def test_a_table_shows_values_beside_goals(tmp_path: Path) -> None:
    check = Check("speed", nothing, 1, {"mfu": Goal(0.5)})
    results = Results(tmp_path / "stage.json", ABOUT)
    results.add("speed", {"status": "short", "seconds": 3.0, "values": {"mfu": 0.4567, "rows": [1, 2]}})
    assert "| speed | short | 3.0 | mfu 0.4567 (goal: at least 0.5) |" in table("fast", [check], results, False)


@pytest.mark.parametrize(
    ("run", "status", "text"),
    [
        (misbehaving.crash, "crashed", "status 7"),
        (misbehaving.hang, "timed out", "ended after 2 s"),
        (misbehaving.pause, "paused", "within 300 s"),
        (misbehaving.fail, "failed", "ValueError: what is wrong"),
    ],
)
def test_a_check_that_crashes_hangs_or_fails_is_an_outcome(run: Any, status: str, text: str, tmp_path: Path) -> None:
    outcome = execute(Check("check", run, 0), setting(tmp_path), limit=2 if status == "timed out" else 300)
    assert outcome["status"] == status
    assert text in outcome["error"]
    assert ("what was printed" in outcome.get("log", "")) == (status == "failed")

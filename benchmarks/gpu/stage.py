"""The checks of a stage in order, within a budget of time; a second call goes on."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.checks import Check, Setting
from benchmarks.gpu.process import Outcome, execute
from mimbench.core.errors import UserError
from mimbench.core.files import write_atomic

DONE = ("passed", "short", "skipped")
Execute = Callable[[Check, Setting, float], Outcome]


class Results:
    """The results of a stage, in a file that is complete after every check.

    Raises:
        UserError: The file contains the results of another machine.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]):
        self.path, self.about = path, dict(about)
        self.checks: dict[str, Outcome] = {}
        if path.exists():
            former = json.loads(path.read_text(encoding="utf-8"))
            if former["about"] != self.about:
                raise UserError(
                    f"{path} has results of {former['about']}, but this is {self.about}. Choose another --output."
                )
            self.checks = former["checks"]

    def add(self, name: str, outcome: Outcome) -> None:
        self.checks[name] = outcome
        content = {"about": self.about, "checks": self.checks}
        write_atomic(self.path, json.dumps(content, indent=1, default=str) + "\n")

    def status(self, check: Check) -> str:
        """As in `process.execute`, "begun" for a check that was cut off, and "open" for one that has not begun."""
        return self.checks.get(check.name, {"status": "open"})["status"]


def run_stage(
    checks: Sequence[Check],
    setting: Setting,
    results: Results,
    deadline: float,
    clock: Callable[[], float] = time.monotonic,
    execute: Execute = execute,
) -> None:
    """Runs the checks that are not done, as far as the time suffices.

    Checks that have not begun, or have paused, come first; then those that failed or were cut off, so that they do not
    keep the others from running.

    Args:
        deadline: By `clock`. A check begins only if its expected time is left, and is ended at the deadline.
    """
    waiting = [check for check in checks if results.status(check) not in DONE]
    for check in sorted(waiting, key=lambda check: results.status(check) not in ("open", "paused")):
        left = deadline - clock()
        if left < check.seconds:
            print(f"{check.name}: not begun, {left:.0f} s are left and it takes {check.seconds:.0f} s", flush=True)
            continue
        results.add(check.name, {"status": "begun"})
        begin = clock()
        outcome = execute(check, setting, left)
        outcome["seconds"] = round(clock() - begin, 1)
        results.add(check.name, outcome)
        print(f"{check.name}: {outcome['status']} after {outcome['seconds']} s {outcome.get('error', '')}", flush=True)

"""The results of a stage as a Markdown table."""

from collections.abc import Sequence
from typing import Any

from benchmarks.gpu.checks import Check
from benchmarks.gpu.stage import Results


def table(name: str, checks: Sequence[Check], results: Results, rehearsal: bool) -> str:
    """One row per check; values beside the goals that they are judged by."""
    about = ", ".join(f"{key} {value}" for key, value in results.about.items())
    lines = [f"# {name}", "", about + "."]
    if rehearsal:
        lines += ["", "A rehearsal with tiny sizes: the numbers mean nothing, and goals are not judged."]
    lines += ["", "| check | status | seconds | found |", "|---|---|--:|---|"]
    for check in checks:
        outcome = results.checks.get(check.name, {})
        cells = [check.name, results.status(check), outcome.get("seconds", ""), _found(check, outcome)]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _found(check: Check, outcome: dict[str, Any]) -> str:
    values = outcome.get("values", {})
    texts = [
        f"{key} {_text(value)}" + (f" (goal: {check.goals[key]})" if key in check.goals else "")
        for key, value in values.items()
        if value is None or isinstance(value, str | int | float)
    ]
    return "; ".join(texts) or str(outcome.get("error", "")).replace("|", "/").replace("\n", " ")[:200]


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

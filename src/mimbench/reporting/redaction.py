"""Removal of host names, user names and the folders of absolute paths from reports."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mimbench.reporting.collect import Sweep
from mimbench.reporting.runs import Run
from mimbench.reporting.summary import Summary

# Two or more parts, so that fractions and units such as images/s do not match.
_PATH = re.compile(r"(?<![\w.:/])(?:/[^\s/:'\"`,;()\[\]{}]+){2,}/?")
_HIDDEN = ("host", "user")


def redact_sweep(sweep: Sweep) -> Sweep:
    """The sweep without host names and folders; names of files and relative paths stay."""
    return replace(sweep, runs=tuple(map(_redact_run, sweep.runs)), warnings=tuple(map(redact, sweep.warnings)))


def redact_summaries(summaries: list[Summary]) -> list[Summary]:
    """The summaries with redacted runs; numbers stay."""
    return [replace(summary, runs=tuple(map(_redact_run, summary.runs))) for summary in summaries]


def redact(text: str) -> str:
    """The text with `…/name` in place of absolute paths."""
    return _PATH.sub(lambda match: "…/" + match[0].rstrip("/").rpartition("/")[2], text)


def _redact_run(run: Run) -> Run:
    record = run.record
    if record is not None:
        environment = {key: value for key, value in record.environment.items() if key not in _HIDDEN}
        record = replace(record, environment=environment)
    return replace(
        run,
        error=redact(run.error),
        overrides=tuple(map(redact, run.overrides)),
        config=redact_tree(run.config),
        record=record,
    )


def redact_tree(tree: Any) -> Any:
    """Nested values with `redact` applied to every string."""
    if isinstance(tree, str):
        return redact(tree)
    if isinstance(tree, Mapping):
        return {key: redact_tree(value) for key, value in tree.items()}
    return [redact_tree(value) for value in tree] if isinstance(tree, list) else tree

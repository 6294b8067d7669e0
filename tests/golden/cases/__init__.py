"""Released models rebuilt from our parts: one module per format, selected by the source of the released code."""

import importlib
import pkgutil
from typing import Any

from cases.base import Case

CASES: dict[tuple[str, str], type[Case]] = {}
for _info in pkgutil.iter_modules(__path__):
    if _info.name != "base":
        _module = importlib.import_module(f"cases.{_info.name}")
        for _case in getattr(_module, "CASES", None) or (_module.CASE,):
            CASES[_case.source] = _case


def rebuild(document: dict[str, Any]) -> Case:
    """The case of a golden file, by the repository and file of the released code."""
    source = (document["official"]["repository"], document["official"]["file"])
    if source not in CASES:
        raise ValueError(f"No module of tests/golden/cases rebuilds {source}; known: {sorted(CASES)}.")
    return CASES[source](document)

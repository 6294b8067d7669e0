"""JSON files that others may have written: read within limits, and checked to be what is expected."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from mimbench.core.text import printable_tree

_MAX_BYTES = 256 << 20
_MAX_DEPTH = 64
_MAX_INTEGER = 2**63


def read_json(path: Path, max_bytes: int = _MAX_BYTES) -> dict[str, Any]:
    """The object in a JSON file, its strings made printable.

    Raises:
        ValueError: It is no regular file of at most `max_bytes`, no UTF-8, no JSON object, or nested more than 64
            levels deep; or an integer in it needs more than 64 bits. The message does not name the file.
        OSError: It cannot be read.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    if (size := path.stat().st_size) > max_bytes:
        raise ValueError(f"it has {size} bytes; expected at most {max_bytes}.")
    try:
        values: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise ValueError(f"it is not valid JSON ({error}).") from error
    if not isinstance(values, dict):
        raise ValueError(f"it is {type(values).__name__}; expected a JSON object.")
    check_values(values)
    return printable_tree(values)


def check_values(tree: Any, depth: int = 0) -> None:
    """Raises ValueError for values nested more than 64 levels deep and for integers of more than 64 bits."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"it is nested more than {_MAX_DEPTH} levels deep.")
    if isinstance(tree, Mapping):
        for value in cast(Mapping[str, Any], tree).values():
            check_values(value, depth + 1)
    elif isinstance(tree, list):
        for value in cast(list[Any], tree):
            check_values(value, depth + 1)
    elif isinstance(tree, int) and abs(tree) >= _MAX_INTEGER:
        raise ValueError("it has an integer of more than 64 bits.")


def check_type(name: str, value: Any, kind: type | tuple[type, ...]) -> None:
    """Raises ValueError for a value of another type; true and false are no numbers."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ValueError(f"{name} is {_short(value)}; expected {' or '.join(k.__name__ for k in kinds)}.")


def check_items(name: str, values: list[Any], kind: type) -> None:
    """Raises ValueError for a list with an item of another type."""
    for place, value in enumerate(values):
        check_type(f"{name}[{place}]", value, kind)


def check_numbers(name: str, tree: Any) -> None:
    """Raises ValueError unless all leaves of nested mappings are numbers or null."""
    if isinstance(tree, Mapping):
        for key, value in cast(Mapping[str, Any], tree).items():
            check_numbers(f"{name}.{key}", value)
    elif tree is not None and not (isinstance(tree, float) and math.isnan(tree)):
        check_type(name, tree, (int, float))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

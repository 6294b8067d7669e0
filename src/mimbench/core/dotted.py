"""Dotted keys of nested configurations."""

from collections.abc import Mapping
from typing import Any, cast


def flatten(config: Mapping[str, Any], prefix: str = "", separator: str = ".") -> dict[str, Any]:
    """Nested mappings as one dictionary keyed by dotted paths; an empty mapping is kept as a value."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(cast(Mapping[str, Any], value), f"{prefix}{key}{separator}", separator)
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def find(config: Mapping[str, Any], key: str, default: Any) -> Any:
    """The value at a dotted key of nested mappings, or the default."""
    value: Any = config
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return default
        value = cast(Mapping[str, Any], value)[part]
    return value

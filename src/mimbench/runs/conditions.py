"""Conditions on runs: `method=mirl`, `depth>=12`, `optim.base_lr<1e-3`."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import Any

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {"=": eq, "!=": ne, ">=": ge, "<=": le, ">": gt, "<": lt}
_CONDITION = re.compile(r"([\w@./-]+?)\s*(>=|<=|!=|==|=|>|<)\s*(.*)", re.DOTALL)
_WORDS = {"true": True, "false": False, "null": None, "none": None}


@dataclass(frozen=True)
class Condition:
    """A key, a comparison and a value.

    Attributes:
        operator: A key of `_OPERATORS`.
        values: For = and !=, several are separated by commas: `seed=0,1`.
    """

    key: str
    operator: str
    values: tuple[str, ...]

    def holds(self, run: Mapping[str, Any]) -> bool:
        """Whether it holds for a run, by key; a key that a run does not have equals null only."""
        own = run.get(self.key)
        if self.operator in ("=", "!="):
            return any(_equal(own, value) for value in self.values) == (self.operator == "=")
        number = _number(own)
        limit = _number(self.values[0])
        return number is not None and limit is not None and _OPERATORS[self.operator](number, limit)


def parse(text: str) -> Condition:
    """A condition from text.

    Raises:
        ValueError: It has no comparison, or compares sizes with something that is no number.
    """
    match = _CONDITION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no condition; expected KEY=VALUE, KEY!=VALUE or, in quotes, 'KEY>=NUMBER'.")
    key, operator, value = match.groups()
    operator = "=" if operator == "==" else operator
    values = tuple(part.strip() for part in value.split(",")) if operator in ("=", "!=") else (value.strip(),)
    if operator not in ("=", "!=") and _number(values[0]) is None:
        raise ValueError(f"{text!r} compares with {values[0]!r}; {operator} needs a number.")
    return Condition(key, operator, values)


def all_hold(conditions: Sequence[Condition], run: Mapping[str, Any]) -> bool:
    """Whether all conditions hold."""
    return all(condition.holds(run) for condition in conditions)


def _equal(own: Any, text: str) -> bool:
    if isinstance(own, bool) or own is None:
        return text.lower() in _WORDS and _WORDS[text.lower()] is own
    number = _number(own)
    return (number is not None and number == _number(text)) or str(own) == text


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except ValueError:
        return None

"""Text from other people's files, made safe to print."""

import re
from collections.abc import Mapping
from typing import Any, cast

# Control characters (terminal escape sequences among them) but for tab and line feed, marks that reverse the direction
# of writing, line separators, and halves of surrogate pairs, which cannot be encoded.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with U+FFFD in place of characters that control a terminal or cannot be printed."""
    return _UNPRINTABLE.sub("\ufffd", text)


def printable_tree(tree: Any) -> Any:
    """Nested mappings and lists with every key and every string made printable."""
    if isinstance(tree, str):
        return printable(tree)
    if isinstance(tree, Mapping):
        items = cast(Mapping[Any, Any], tree).items()
        return {printable_tree(key): printable_tree(value) for key, value in items}
    if isinstance(tree, list):
        return [printable_tree(value) for value in cast(list[Any], tree)]
    return tree

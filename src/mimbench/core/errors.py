"""Errors that users can correct, and hints for misspelled names."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """An error in the command, the configuration or the data; commands print its message and exit with status 2."""


def nearest(word: str, valid: Iterable[str]) -> str:
    """A hint such as " Did you mean mae?" with up to three valid names, or an empty string."""
    close = difflib.get_close_matches(word, list(valid), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(close)}?" if close else ""

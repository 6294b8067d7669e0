"""Damaged images, which are skipped with a warning up to a limit."""

import logging

log = logging.getLogger(__name__)


class Damaged:
    """Records which images could not be read. Each process has its own count.

    Args:
        limit: Number of damaged images that are allowed; with 0 the first one is an error.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.names: set[str] = set()

    def add(self, name: str, error: Exception) -> None:
        """Counts an image once. Raises ValueError with its name if there are more than the limit."""
        if name in self.names:
            return
        self.names.add(name)
        if len(self.names) > self.limit:
            raise ValueError(
                f"{name} cannot be read ({error}); it is damaged image number {len(self.names)} and max_damaged is "
                f"{self.limit}. Repair or remove it, or raise max_damaged."
            ) from error
        log.warning("Skipped damaged image %d (%d allowed): %s (%s)", len(self.names), self.limit, name, error)

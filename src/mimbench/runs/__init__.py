"""One run on disk, and all results of many as a table."""

from mimbench.runs.frames import frame

__all__ = ["frame"]

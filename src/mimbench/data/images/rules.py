"""How a source reads its image files."""

from dataclasses import dataclass

from mimbench.data.images.unreadable import Damaged


@dataclass(frozen=True)
class Rules:
    """Which image files count as damaged or are refused, and whether images are turned.

    Args:
        damaged: Counts the damaged files of a process.
        min_size: Smallest side in pixels.
        upright: Whether images are rotated and mirrored as the orientation in their EXIF data says.
    """

    damaged: Damaged
    min_size: int = 1
    upright: bool = False

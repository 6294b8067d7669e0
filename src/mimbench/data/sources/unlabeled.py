"""Any folder of images, without labels, for pre-training."""

from pathlib import Path

from mimbench.data.sources.folder import Folder


class Images(Folder):
    """`Folder` with `labels=False`: all images in a folder and its subfolders, or in its train/ if it has one.

    Args:
        holdout: Fraction of the images that becomes "val".
        max_damaged: Damaged files allowed per process.
        min_size: Smallest side of an image in pixels; take the patch size.
        seed: Determines the hold-out. Part of the dataset, not of a run.
        upright: Whether images are rotated and mirrored as the orientation in their EXIF data says.
    """

    def __init__(
        self,
        root: str | Path,
        image_size: int = 224,
        holdout: float = 0.02,
        max_damaged: int = 10,
        min_size: int = 16,
        seed: int = 0,
        upright: bool = False,
    ) -> None:
        super().__init__(root, image_size, holdout, max_damaged, min_size, seed, labels=False, upright=upright)

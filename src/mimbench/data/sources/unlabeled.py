"""Any folder of images, without labels, for pre-training."""

from pathlib import Path

import torch

from mimbench.core.files import walk
from mimbench.data.holdout import stratified_holdout
from mimbench.data.images.files import FileSplit, subset
from mimbench.data.images.unreadable import Damaged
from mimbench.data.source import Source, SplitName
from mimbench.data.sources.folder import is_image


class Images(Source):
    """All images in a folder and its subfolders without labels; hidden files and folders are left out.

    A random share becomes "val", for the loss. There is no "test" split, and protocols that need labels are refused
    before training; evaluate the encoder on labeled data (`mimbench evaluate RUN data=...`).

    Args:
        holdout: Fraction of the images that becomes "val".
        max_damaged: Damaged files allowed per process.
        min_size: Smallest side of an image in pixels; take the patch size.
        seed: Determines the hold-out. Part of the dataset, not of a run.
    """

    def __init__(
        self,
        root: str | Path,
        image_size: int = 224,
        holdout: float = 0.02,
        max_damaged: int = 10,
        min_size: int = 16,
        seed: int = 0,
    ) -> None:
        self.root, self.image_size = Path(root), image_size
        files = images_below(self.root)
        self._files = FileSplit(files, torch.full((len(files),), -1), Damaged(max_damaged), min_size)
        self._files.check_headers()
        self._holdout = stratified_holdout(torch.zeros(len(files), dtype=torch.int64), holdout, seed)

    @property
    def classes(self) -> tuple[str, ...]:
        return ()

    def split(self, name: SplitName) -> FileSplit:
        if name == "test":
            raise ValueError(f"The images of {self.root} have no labels and no test split; evaluate on other data.")
        return subset(self._files, self._holdout.held if name == "val" else self._holdout.kept)


def images_below(root: Path) -> list[str]:
    """Sorted paths of all images in a folder and its subfolders.

    Raises:
        ValueError: The folder does not exist or has no images.
    """
    if not root.is_dir():
        raise ValueError(f"There is no folder {root}; set data.source.root to a folder of images.")
    files = [f"{folder}/{name}" for folder, _, names in walk(root) for name in names if is_image(name)]
    if not files:
        raise ValueError(f"{root} and the folders below it have no images (.jpg, .png, .webp, .tif and so on).")
    return sorted(files)

"""kNN accuracy on the validation split during training."""

import lightning as L
from lightning.pytorch.callbacks import Callback

from mimbench.data import ImageDataModule
from mimbench.data.reload import some
from mimbench.data.source import SplitName
from mimbench.evaluation.features.extraction import Features, extract
from mimbench.evaluation.protocols.knn import knn_predict
from mimbench.evaluation.selection import accuracy, check_labels
from mimbench.methods import Method


class OnlineKNN(Callback):
    """Logs `knn`, the accuracy of kNN on some validation images with some training images as neighbors.

    The images are the same in every epoch and run; the test split is never read. Each rank computes the same number, so
    that it can be monitored. Random states and training flags are restored. It runs after validation, so that it uses
    averaged weights if these are validated; it must precede the averaging callback.

    Args:
        k: Number of neighbors.
    """

    def __init__(self, every_n_epochs: int = 10, num_train: int = 2000, num_val: int = 500, k: int = 20):
        if min(every_n_epochs, num_train, num_val, k) < 1 or k > num_train:
            raise ValueError("every_n_epochs, num_train, num_val and k must be at least 1, and k at most num_train.")
        self.every_n_epochs, self.k = every_n_epochs, k
        self.num_images: dict[SplitName, int] = {"train": num_train, "val": num_val}

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Raises ValueError, before any training, for data without labels."""
        for split in self.num_images:
            check_labels(_datamodule(trainer).split(split).labels, split)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.sanity_checking and (trainer.current_epoch + 1) % self.every_n_epochs == 0:
            assert isinstance(pl_module, Method)
            pl_module.log("knn", self.accuracy(pl_module, _datamodule(trainer)), sync_dist=True)

    def accuracy(self, method: Method, datamodule: ImageDataModule) -> float:
        """Accuracy of the current encoder of the method at its last depth."""
        train, val = (self._features(method, datamodule, split) for split in ("train", "val"))
        depth, labels = train.last_depth, train.labels.to(train.device)
        k = min(self.k, len(labels))
        predicted = knn_predict(train.at(depth), labels, val.at(depth), k, int(labels.max()) + 1)
        return accuracy(predicted, val.labels.to(val.device))

    def _features(self, method: Method, datamodule: ImageDataModule, split: SplitName) -> Features:
        loader = some(datamodule.plain(split), self.num_images[split])
        return extract(method.exported, loader, [method.encoder.depth], method.device)


def _datamodule(trainer: L.Trainer) -> ImageDataModule:
    data = getattr(trainer, "datamodule", None)
    if data is None:
        raise ValueError("OnlineKNN needs an ImageDataModule; pass one to Trainer.fit(method, datamodule).")
    return data

"""Sources of labelled pictures and the datamodule that feeds them to every method alike."""

from mimbench.data.ade20k import ADE20K as ADE20K
from mimbench.data.coco import Coco as Coco
from mimbench.data.collages import Collages as Collages
from mimbench.data.datamodule import ImageDataModule as ImageDataModule
from mimbench.data.digits import Digits as Digits
from mimbench.data.folder import Folder as Folder
from mimbench.data.hub import Hub as Hub
from mimbench.data.loader import Batch as Batch
from mimbench.data.loader import TrainLoader as TrainLoader
from mimbench.data.photos import Photos as Photos
from mimbench.data.scenes import Scenes as Scenes
from mimbench.data.shapes import Shapes as Shapes
from mimbench.data.shards import Shards as Shards
from mimbench.data.source import MemorySplit as MemorySplit
from mimbench.data.source import Source as Source
from mimbench.data.source import Split as Split
from mimbench.data.torchvision import TorchVision as TorchVision

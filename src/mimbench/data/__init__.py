"""Image datasets and the LightningDataModule shared by all methods."""

from mimbench.data.datamodule import ImageDataModule as ImageDataModule
from mimbench.data.loader import Batch as Batch
from mimbench.data.loader import TrainLoader as TrainLoader
from mimbench.data.shards.source import Shards as Shards
from mimbench.data.source import MemorySplit as MemorySplit
from mimbench.data.source import Source as Source
from mimbench.data.source import Split as Split
from mimbench.data.sources.ade20k import ADE20K as ADE20K
from mimbench.data.sources.coco import Coco as Coco
from mimbench.data.sources.digits import Digits as Digits
from mimbench.data.sources.fashion import Fashion as Fashion
from mimbench.data.sources.fashion_mnist import FashionMNIST as FashionMNIST
from mimbench.data.sources.folder import Folder as Folder
from mimbench.data.sources.hub import Hub as Hub
from mimbench.data.sources.table import Table as Table
from mimbench.data.sources.torchvision import TorchVision as TorchVision
from mimbench.data.sources.unlabeled import Images as Images
from mimbench.data.synthetic.collages import Collages as Collages
from mimbench.data.synthetic.photos import Photos as Photos
from mimbench.data.synthetic.scenes import Scenes as Scenes
from mimbench.data.synthetic.shapes import Shapes as Shapes

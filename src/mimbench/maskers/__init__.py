"""Maskers: random choices of the cells to hide."""

from mimbench.maskers.base import Masker
from mimbench.maskers.block import BlockMasker
from mimbench.maskers.grid import GridMasker
from mimbench.maskers.multiblock import MultiBlockMasker
from mimbench.maskers.random import RandomMasker

__all__ = ["BlockMasker", "GridMasker", "Masker", "MultiBlockMasker", "RandomMasker"]

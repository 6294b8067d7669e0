"""Targets: the values that decoders predict."""

from mimbench.targets.base import Target, TargetAt, target_values
from mimbench.targets.clip import OpenCLIPTeacher
from mimbench.targets.hog import HOGTarget
from mimbench.targets.hybrid import HybridTarget
from mimbench.targets.latent import LatentTarget
from mimbench.targets.pca import PCATarget
from mimbench.targets.pixel import PixelTarget
from mimbench.targets.teacher import Teacher, TeacherTarget, TimmTeacher

__all__ = [
    "HOGTarget",
    "HybridTarget",
    "LatentTarget",
    "OpenCLIPTeacher",
    "PCATarget",
    "PixelTarget",
    "Target",
    "TargetAt",
    "Teacher",
    "TeacherTarget",
    "TimmTeacher",
    "target_values",
]

"""Common corruptions of images (Hendrycks and Dietterich 2019, arXiv 1903.12261), made where they are needed.

Frost is added from the authors' photographs, which the user provides; the other fourteen need no files. Strengths are
those of the authors' code. Motion blur follows ImageMagick's description and warps use SciPy instead of OpenCV, so
single pixels differ from the published files, and those of ImageNet-C have passed through one more JPEG.
"""

from mimbench.data.corruptions.corrupt import corrupt as corrupt
from mimbench.data.corruptions.dataset import Corrupted as Corrupted
from mimbench.data.corruptions.severities import CORRUPTIONS as CORRUPTIONS
from mimbench.data.corruptions.severities import WITH_FROST as WITH_FROST
from mimbench.data.corruptions.severities import reference as reference

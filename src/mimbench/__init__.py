"""Fair comparison of masked-image-modeling methods."""

__version__ = "0.1.0"

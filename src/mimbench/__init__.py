"""Fair comparison of masked-image-modeling methods."""

__version__ = "0.2.0"

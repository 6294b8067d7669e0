"""Fair comparison of masked-image-modelling methods."""

__version__ = "0.1.0"

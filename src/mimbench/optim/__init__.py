"""The papers' optimizer, parameter groups and schedule."""

from mimbench.optim.recipe import Recipe
from mimbench.optim.schedule import warmup_cosine

__all__ = ["Recipe", "warmup_cosine"]

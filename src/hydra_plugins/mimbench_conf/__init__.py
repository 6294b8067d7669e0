"""Hydra finds search-path plugins in this namespace."""

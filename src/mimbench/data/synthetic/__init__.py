"""Datasets drawn on demand, without downloads."""

"""Datasets that are rendered on request, without downloads."""

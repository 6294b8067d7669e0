"""Datasets that exist outside this package, one file each."""

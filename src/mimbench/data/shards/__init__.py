"""Datasets packed into WebDataset shards."""

"""Evaluation protocols that fit a probe on frozen features, one file each."""

"""Evaluates the encoders of runs, checkpoints and imported weights."""

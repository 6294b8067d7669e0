"""Evaluates encoders after and during their runs: what to evaluate, with what configuration, and the evaluation itself."""

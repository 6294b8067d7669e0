"""Turns command-line overrides into runs, evaluations and analyses."""

"""Probe heads, whitening and resumable fits."""

"""Composes configurations from overrides with Hydra, and explains what is wrong with an override."""

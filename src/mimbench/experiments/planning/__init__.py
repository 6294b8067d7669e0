"""Estimates the cost of a sweep before it starts."""

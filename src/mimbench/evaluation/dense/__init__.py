"""Encoders on images of any size and feature pyramids, shared by segmentation and detection."""

"""Image decoding, crops, color jitter and unreadable files."""

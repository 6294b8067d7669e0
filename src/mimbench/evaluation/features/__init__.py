"""Feature extraction, and the cache of extracted features."""

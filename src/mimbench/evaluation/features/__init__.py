"""Feature extraction and a cache of extracted features."""

"""Real datasets, one file each."""

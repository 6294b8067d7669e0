"""Parts of our own for mimbench."""

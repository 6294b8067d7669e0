"""All golden files are used in a test."""

from typing import Any

import documents


def test_file_is_of_a_known_kind(document: Any):
    known = "config + state_dict + float32 + float64, img*_nbins*_*bias, entries + parameter_counts, "
    known += "settings + block_sizes, or counts"
    assert documents.kind(document) != "unknown", f"this file is compared with nothing; known kinds have {known}"

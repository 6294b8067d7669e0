"""The golden files of a folder, by kind."""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

# Recorded values of the released Swin with corrected coordinates.
REPAIRED = "NOT_OFFICIAL_variant_with_correct_coordinates"
HOG_SETTING = re.compile(r"img(\d+)_nbins(\d+)_(no)?bias")


def kind(document: Any) -> str:
    """`case`, `classifier`, `hog`, `names`, `collator` or `counts`, from the content; `unknown` for anything else."""
    if not isinstance(document, dict):
        return "unknown"
    if {"config", "state_dict", "float32", "float64"} <= document.keys():
        return "classifier" if any(name.startswith("head.") for name, *_ in document["state_dict"]) else "case"
    if {"settings", "block_sizes"} <= document.keys():
        return "collator"
    if any(HOG_SETTING.fullmatch(key) for key in document):
        return "hog"
    if {"official", "entries", "parameter_counts"} <= document.keys():
        return "names"
    return "counts" if "counts" in document else "unknown"


@lru_cache
def read(folder: Path) -> dict[str, dict[str, Any]]:
    """All *.json files of a folder by stem.

    Raises:
        ValueError: There are no such files.
    """
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    if not found:
        raise ValueError(f"No *.json files in {folder}; give a folder of golden files with --golden-dir.")
    return found

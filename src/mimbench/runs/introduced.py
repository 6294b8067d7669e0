"""Keys of configurations that are newer than the first release.

A new key with its default means what its absence meant before, so it is left out of the hash that identifies a run:
runs of older versions are found again. The default stands here as the version that introduced the key had it, also when
it changes later. A key of a new option (a new file in `conf/`) needs no entry, since no older run has that option.
"""

from collections.abc import Mapping
from typing import Any

# By version, then by dotted key.
INTRODUCED: Mapping[str, Mapping[str, Any]] = {
    "0.2.0": {
        "optim.start_lr": 0.0,
        "optim.milestones": [],
        "optim.final_weight_decay": None,
        "optim.clip_norm": None,
        "optim.ahead": False,
        "optim.decayed": [],
        "method.mask_cell": None,
        "encoder.norm_eps": 1e-6,
        "encoder.class_token": True,
        "data.source.labels": True,
        "data.source.upright": False,
        "protocol.corruptions.frost": None,
    },
}
_DEFAULTS = {key: value for keys in INTRODUCED.values() for key, value in keys.items()}
_MISSING = object()


def is_neutral(key: str, value: Any) -> bool:
    """Whether a key has the default of the version that introduced it; 0 is 0.0, and not False."""
    default = _DEFAULTS.get(key, _MISSING)
    return default == value and isinstance(default, bool) == isinstance(value, bool)

"""The identity of a run: a hash of its configuration, as far as it can change the result."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mimbench.core.dotted import flatten
from mimbench.runs.introduced import is_neutral
from mimbench.runs.renamed import current, former

# Keys that cannot change the result. The effective batch size can; how it is split over devices cannot.
_IRRELEVANT = (
    "paths",
    "logger",
    "callbacks",
    "sweep",
    "finetune",
    "segment",
    "detect",
    "resume",
    "objective",
    "claim",
    "rates",
    "data_defaults",
    "decoder",
    "data.num_workers",
    "optim.fused",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.strategy",
    "trainer.accumulate_grad_batches",
    "trainer.compile",
    "trainer.grad_checkpointing",
)
# Keys that do not change an untrained encoder.
_TRAINING = (
    "method",
    "masker",
    "target",
    "optim",
    "budget",
    "trainer",
    "data.batch_size",
    "data.crop_scale",
    "data.flip",
    "data.crop_ratio",
    "data.color_jitter",
)


def identity(config: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits that differ between configurations whose results can differ.

    Args:
        config: The resolved configuration of a run, as dicts and lists.

    Example:
        >>> run = {"method": {"_target_": "mimbench.methods.MAE", "name": "mae"}, "seed": 0}
        >>> identity(run) == identity(run | {"trainer": {"devices": 8}}), identity(run) == identity(run | {"seed": 1})
        (True, False)
    """
    return _hash(relevant(config))


def pretraining(config: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits as of `identity`, equal for runs that differ in their protocols only."""
    return _hash({key: value for key, value in relevant(config).items() if not is_evaluation(key)})


def relevant(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration by dotted key, without keys that cannot change the result."""
    flat = flatten(current(config))
    ignored = _IRRELEVANT
    if flat.get("method._target_") is None:
        ignored += _TRAINING
    kept = {
        key: value
        for key, value in flat.items()
        if not any(_below(key, name) for name in ignored) and not is_neutral(key, value)
    }
    return kept | {"method.name": flat.get("method.name")}


def is_relevant(key: str) -> bool:
    """Whether a dotted key can change a run's result."""
    return not any(_below(key, name) for name in _IRRELEVANT)


def is_evaluation(key: str) -> bool:
    """Whether a dotted key concerns evaluations only: it changes which results a run has, not its encoder."""
    return _below(key, "protocol")


def _hash(values: Mapping[str, Any]) -> str:
    text = json.dumps(_canonical(former(values)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _canonical(value: Any) -> Any:
    """The value with whole numbers as integers, so that 4 and 4.0 are equal."""
    if isinstance(value, Mapping):
        return {key: _canonical(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _below(key: str, name: str) -> bool:
    return key == name or key.startswith(f"{name}.")

"""What checkpoints put around the weights of a model: entries beside them, and names of modules before theirs."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

_WRAPPERS = ("model", "state_dict")
# Names of the state dicts in a checkpoint with several models.
_MODELS = ("encoder", "predictor", "target_encoder")
# Paddle's table of internal names, which the entries contain as well.
_NO_WEIGHTS = ("StructuredToParameterName@@",)

_PARALLEL = re.compile(r"^((module|_orig_mod)\.)+|(?<=\.)_orig_mod\.")  # torch's DataParallel and compile
_HOLDERS = ("model.", "backbone.", "encoder.", "module.")  # attributes of other projects' modules
_STEM = "patch_embed.proj.weight"
_HELD = re.compile(rf"({'|'.join(_HOLDERS)})+{_STEM}".replace(".", r"\."))
# Formats whose own names begin with those of holders.
_OWN = re.compile(r"encoder\.(mask_token|layers\.|trunk\.)|predictor\.|backbone\.proj_|decoder\.0\.")


def unwrap(content: Any, file: str) -> tuple[dict[Any, Any], tuple[str, ...]]:
    """The entries of a model in a checkpoint, and the names of other entries.

    Raises:
        ValueError: There are none, or those of several models.
    """
    if not isinstance(content, Mapping):
        raise ValueError(f"{file} contains a {type(content).__name__} instead of weights by name.")
    for wrapper in _WRAPPERS:
        if isinstance(content.get(wrapper), Mapping):
            inner, beside = content[wrapper], [str(name) for name in content if name != wrapper]
            break
    else:
        inner, beside = _joined(content)
    beside += [name for name in _NO_WEIGHTS if name in inner]
    state = {name: value for name, value in inner.items() if name not in _NO_WEIGHTS}
    if not state:
        raise ValueError(f"{file} contains no weights.")
    models = [str(name) for name, value in state.items() if isinstance(value, Mapping) and value]
    if len(models) > 1:
        raise ValueError(
            f"{file} contains several models or states ({', '.join(models[:5])}); save the entry of one of them as a "
            "file of its own."
        )
    return state, tuple(beside)


def _joined(content: Mapping[Any, Any]) -> tuple[Mapping[Any, Any], list[str]]:
    """Joins the state dicts of several models with their names as prefixes (I-JEPA); also returns other entries."""
    if not all(isinstance(content.get(part), Mapping) for part in _MODELS):
        return content, []
    entries = {f"{part}.{str(n).removeprefix('module.')}": v for part in _MODELS for n, v in content[part].items()}
    return entries, [str(name) for name in content if name not in _MODELS]


def without_prefix(state: Mapping[str, Tensor], file: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The weights without the names of modules that contained the model, and the names of weights outside of it.

    Removes those of torch's DataParallel, DistributedDataParallel and compile everywhere, and `model.`, `backbone.`
    and `encoder.`, also nested, where a ViT or Swin follows and no format of released code has such names.

    Raises:
        ValueError: Two entries would have the same name.
    """
    found, beside = {_PARALLEL.sub("", name): tensor for name, tensor in state.items()}, list[str]()
    if len(found) < len(state):
        raise ValueError(f"{file} contains the same weights with and without the prefix of a wrapped model.")
    while _STEM not in found and not any(map(_OWN.match, found)):
        prefix = next((p for p in _HOLDERS for name in found if name.startswith(p) and _HELD.fullmatch(name)), None)
        if prefix is None:
            break
        beside += [name for name in found if not name.startswith(prefix)]
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items() if name.startswith(prefix)}
    return found, tuple(beside)

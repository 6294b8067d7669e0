"""The decoder of a pre-training run of MAE, from its configuration and its checkpoint."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mimbench.runs.directory import CHECKPOINTS, CONFIG, ENCODER, LAST, checkpoint
from mimbench.weights.architecture import Architecture, Branches
from mimbench.weights.building import build
from mimbench.weights.files import read_state_dict
from mimbench.weights.store import stored_config
from mimbench.weights.trunks import count

NO_DECODER = "{} holds no decoder of MAE, the only one that ViTMAEForPreTraining has."
_DECODER, _TRUNK = "decoders.0.", "encoder.trunk."


def mae_of_run(directory: Path, architecture: Architecture) -> tuple[nn.Module, Architecture, dict[str, Any]]:
    """The MAE of a run, its architecture with the decoder, and what Hugging Face's configuration says beside sizes.

    Args:
        directory: A finished run with its last checkpoint.
        architecture: That of the run's encoder.

    Raises:
        ValueError: It is no MAE that predicts pixels from visible patches, or its checkpoint is missing, damaged or of
            another training than its encoder.
    """
    values = stored_config(directory)
    method, target, masker = (_part(values, name) for name in ("method", "target", "masker"))
    if method.get("_target_") != "mimbench.methods.MAE":
        raise ValueError(NO_DECODER.format(directory))
    if target.get("_target_") != "mimbench.targets.PixelTarget" or method.get("encode_hidden"):
        raise ValueError(
            f"The decoder of {directory} does not predict pixels from visible patches, which is what "
            "ViTMAEForPreTraining does; leave --decoder out."
        )
    state = _checkpoint(directory)
    whole = replace(architecture, branches=_branches(state, architecture, method.get("num_heads")))
    module = build(whole)
    try:
        module.load_state_dict({name: state[name] for name in module.state_dict()})
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"The checkpoint of {directory} does not fit its own {CONFIG}: {error}.") from error
    further = {"norm_pix_loss": bool(target.get("normalize", True)), "mask_ratio": masker.get("ratio", 0.75)}
    return module, whole, further


def _part(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = values.get(name)
    return part if isinstance(part, Mapping) else {}


def _checkpoint(directory: Path) -> dict[str, Tensor]:
    """The weights of the last checkpoint, which must be those of the exported encoder."""
    path = checkpoint(directory)
    if path is None:
        raise ValueError(
            f"{directory / CHECKPOINTS / LAST} is missing or damaged; only it holds the decoder. Leave --decoder out."
        )
    state, encoder = read_state_dict(path), read_state_dict(directory / ENCODER)
    if not all(f"{_TRUNK}{name}" in state and torch.equal(state[f"{_TRUNK}{name}"], t) for name, t in encoder.items()):
        raise ValueError(f"{path} and the run's {ENCODER} are of different trainings; leave --decoder out.")
    return state


def _branches(state: Mapping[str, Tensor], architecture: Architecture, num_heads: Any) -> Branches:
    if type(num_heads) is not int or f"{_DECODER}mask_token" not in state:
        raise ValueError("The run does not say the heads of its decoder, or its checkpoint has no decoder.")
    dim, num_blocks = state[f"{_DECODER}mask_token"].shape[-1], count(state, f"{_DECODER}blocks.")
    hidden = state[f"{_DECODER}blocks.0.mlp.fc1.bias"].shape[0] if num_blocks else 4 * dim
    target_dim = state[f"{_DECODER}head.bias"].shape[0]
    return Branches("mae", architecture.num_blocks, dim, num_blocks, hidden / dim, target_dim, num_heads)

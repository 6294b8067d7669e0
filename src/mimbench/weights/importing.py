"""Imports a file of weights and reports what became of each of its entries."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn

from mimbench.weights.architecture import Architecture
from mimbench.weights.building import build, trunk_prefix
from mimbench.weights.files import WeightFile
from mimbench.weights.formats import format_named
from mimbench.weights.formats.format import COMPUTED, Format
from mimbench.weights.formats.huggingface import from_transformers, left_out, released_name
from mimbench.weights.formats.localmim_swin import swap_neighbors
from mimbench.weights.recognize import architecture_of, format_of

# Formats whose encoders or classifiers have the same names.
_SAME_NAMES = {("mae", "timm"), ("deepmim", "timm"), ("timm", "mae-finetune")}
# The released code of these methods fine-tunes the classifier of MAE.
_SAME_CLASSIFIER = {("deepmim", "mae-finetune"), ("localmim-vit", "mae-finetune")}
# Layers of a classifier that are not part of the encoder.
_HEAD = "head."

# Entries of the released pre-training models that are not part of the encoder.
_DECODERS = re.compile(
    r"decoder|mask_token|hog_enc\.|norm_low\.|norm\d|(encoder\.)?norm\.[0-2]\.|encoder\.mask_token|wfm\.|dec_norms\.|predictor\.|target_encoder\.|neck\.|backbone\.proj_"
)
_NOT_ASKED = {"fate": "left out", "why": "decoders were not requested"}

Fates = dict[str, dict[str, Any]]
"""For each entry of the file: {"fate": "used" | "created by us" | "left out", "as": our names or "why": a reason}."""


@dataclass(frozen=True)
class Imported:
    """A model with the weights of a file.

    Attributes:
        module: A method, an encoder or a classifier.
        fates: Use of each entry of the file.
        resized: Sides of the grid of patches before and after interpolation; None if positions are not interpolated.
    """

    format: str
    architecture: Architecture
    module: nn.Module
    fates: Fates
    released_quirks: bool = False
    resized: tuple[int, int] | None = None

    def encoder(self) -> dict[str, Tensor]:
        """State dict of the timm model without a classifier's head, in timm's layout."""
        prefix = trunk_prefix(self.module)
        state = {name: tensor for name, tensor in self.module.state_dict().items() if not name.startswith(_HEAD)}
        trunk = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
        if not self.released_quirks:
            return trunk
        return {name: swap_neighbors(t) if ".downsample." in name else t for name, t in trunk.items()}

    def method(self) -> dict[str, Tensor] | None:
        """State dict of the whole method; None without decoders."""
        return None if self.architecture.branches is None else self.module.state_dict()

    def classifier(self) -> dict[str, Tensor] | None:
        """State dict of the whole classifier with timm's names; None without a head."""
        return self.module.state_dict() if self.architecture.num_classes else None


def import_weights(
    file: WeightFile,
    name: str | None = None,
    image_size: int | None = None,
    num_heads: int | None = None,
    decoder_heads: int | None = None,
    released_quirks: bool = False,
    encoder_only: bool = False,
    depths: tuple[int, ...] | None = None,
) -> Imported:
    """Builds a model from a file of weights; every entry must be used or have a reason to be left out.

    Args:
        name: The format; by default recognized from the names.
        image_size: Image size of the model in pixels; positions are interpolated as in timm. By default that of the
            file.
        num_heads: Attention heads of a ViT; by default those of the papers for its width.
        decoder_heads: Attention heads of the decoders; by default one per 32 channels.
        released_quirks: Whether a Swin computes the same as in LocalMIM's released pre-training.
        encoder_only: Whether decoders are left out.
        depths: Encoder depths that the decoders read; by default those of the released code.

    Raises:
        ValueError: Entries are missing, unexpected or of another size, or the file has another format.
    """
    name = _checked_format(file, name)
    known = format_named(name, released_quirks)
    released, fates = _prepared(file.state, name)
    architecture = architecture_of(file.state, name)
    if encoder_only:
        architecture = replace(architecture, branches=None)
        released = {entry: tensor for entry, tensor in released.items() if not _DECODERS.match(entry)}
        fates |= {entry: dict(_NOT_ASKED) for entry in file.state if _DECODERS.match(released_name(entry))}
    architecture = architecture.completed(name, image_size, num_heads, decoder_heads, depths)
    module = build(architecture, released_quirks)
    loaded = known.convert(released, module)
    module.load_state_dict(module.state_dict() | loaded)
    fates |= _fates(file.state, known, module, loaded.keys(), name)
    result = Imported(name, architecture, module, fates, released_quirks)
    return result if image_size in (None, architecture.image_size) else _resized(result, image_size)


def _checked_format(file: WeightFile, name: str | None) -> str:
    found = format_of(file.state)
    if found == "mimbench":
        raise ValueError(f"{file.path.name} is already a checkpoint of mimbench; export its run instead.")
    if name is not None:
        format_named(name)
        if found == f"{name}-finetune" or (name, found) in _SAME_CLASSIFIER:
            return found
        if name != found and (name, found) not in _SAME_NAMES:
            raise ValueError(f"{file.path.name} has the format {found}, not {name}; use --format {found}.")
    return name or found


def _prepared(state: Mapping[str, Tensor], name: str) -> tuple[dict[str, Tensor], Fates]:
    """The entries with the names of the format, and the fates of those that it does not contain."""
    if name == "transformers-vitmae":
        why = "the pooler is not part of masked image modeling"
        return from_transformers(state), {entry: {"fate": "left out", "why": why} for entry in left_out(state)}
    if name == "timm":
        passed = [entry for entry in state if entry.endswith(COMPUTED)]
        kept = {entry: tensor for entry, tensor in state.items() if entry not in passed}
        return kept, {entry: {"fate": "left out", "why": "timm computes it from the sizes"} for entry in passed}
    return dict(state), {}


def _fates(state: Mapping[str, Tensor], known: Format, module: nn.Module, loaded: Any, name: str) -> Fates:
    ours: dict[str, list[str]] = {}
    for own, theirs in known.names(module).items():
        ours.setdefault(theirs, []).append(own)
    fates: Fates = {}
    for entry in state:
        entry_of_ours = released_name(entry) if name == "transformers-vitmae" else known.own_entry(entry, module)
        own = ours.get(entry_of_ours)
        if own is not None:
            fate = "used" if loaded & set(own) else "created by us"
            fates[entry] = {"fate": fate, "as": own}
    return fates


def _resized(imported: Imported, image_size: int | None) -> Imported:
    """The model for another image size.

    Raises:
        ValueError: Patches do not divide the size, or an entry cannot be resized.
    """
    architecture = replace(imported.architecture, image_size=image_size)
    module = build(architecture, imported.released_quirks)
    fresh, state = module.state_dict(), imported.module.state_dict()
    positions = trunk_prefix(module) + "pos_embed"
    if positions in state:
        state[positions] = _interpolated(state[positions], imported.architecture, architecture)
    if wrong := [name for name in fresh if fresh[name].shape != state[name].shape]:
        raise ValueError(
            f"At {image_size} px {wrong[0]} would be {list(fresh[wrong[0]].shape)} instead of "
            f"{list(state[wrong[0]].shape)}; windows cannot be resized. Choose another --image-size."
        )
    module.load_state_dict(state)
    sides = tuple((a.image_size or 0) // a.patch_size for a in (imported.architecture, architecture))
    return replace(imported, architecture=architecture, module=module, resized=(sides[0], sides[1]))


def _interpolated(positions: Tensor, before: Architecture, after: Architecture) -> Tensor:
    side = (after.image_size or 0) // after.patch_size
    old = (before.image_size or 0) // before.patch_size
    prefix = positions.shape[1] - old * old
    with torch.no_grad():
        return resample_abs_pos_embed(positions, [side, side], [old, old], num_prefix_tokens=prefix)

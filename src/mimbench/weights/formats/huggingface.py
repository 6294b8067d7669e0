"""Converts between the names of MAE and of ViT and ViTMAE in Hugging Face transformers."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

# Entries without a counterpart: masked image modeling does not train the pooler.
_LEFT_OUT = ("pooler.dense.weight", "pooler.dense.bias")
_PLAIN = {
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj.": "embeddings.patch_embeddings.projection.",
    "norm.": "layernorm.",
}
_DECODER = {
    "mask_token": "decoder.mask_token",
    "decoder_pos_embed": "decoder.decoder_pos_embed",
    "decoder_embed.": "decoder.decoder_embed.",
    "decoder_norm.": "decoder.decoder_norm.",
    "decoder_pred.": "decoder.decoder_pred.",
}
_BLOCK = {
    "norm1.": "layernorm_before.",
    "norm2.": "layernorm_after.",
    "attn.proj.": "attention.output.dense.",
    "mlp.fc1.": "intermediate.dense.",
    "mlp.fc2.": "output.dense.",
}
_PARTS = ("query", "key", "value")
# Names of transformers 5 in memory; its files have those of version 4.
_SPELLINGS = (
    (r"^vit\.", ""),
    (r"^layers\.", "encoder.layer."),
    (r"^decoder\.decoder_encoder\.layer\.", "decoder.decoder_layers."),
    (r"\.attention\.q_proj\.", ".attention.attention.query."),
    (r"\.attention\.k_proj\.", ".attention.attention.key."),
    (r"\.attention\.v_proj\.", ".attention.attention.value."),
    (r"\.attention\.o_proj\.", ".attention.output.dense."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
)
_STACKS = {"blocks.": "encoder.layer.", "decoder_blocks.": "decoder.decoder_layers."}


def left_out(state: Mapping[str, Tensor]) -> list[str]:
    """The entries that `from_transformers` leaves out."""
    return [name for name in state if name in _LEFT_OUT]


def released_name(name: str) -> str:
    """The name of an entry in MAE; query, key and value share one. Unknown entries keep their names."""
    for pattern, plain in _SPELLINGS:
        name = re.sub(pattern, plain, name)
    for ours, theirs in (_PLAIN | _DECODER).items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    for ours, theirs in _STACKS.items():
        if found := re.fullmatch(re.escape(theirs) + r"(\d+)\.(.+)", name):
            return f"{ours}{found[1]}.{_block_name(found[2])}"
    return name


def _block_name(rest: str) -> str:
    if found := re.fullmatch(r"attention\.attention\.(query|key|value)\.(weight|bias)", rest):
        return f"attn.qkv.{found[2]}"
    for ours, theirs in _BLOCK.items():
        if rest.startswith(theirs):
            return ours + rest.removeprefix(theirs)
    return rest


def from_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames a state dict of ViTModel, ViTMAEModel or ViTMAEForPreTraining to the names of MAE.

    Raises:
        ValueError: A query, key or value is missing, or two entries have the same meaning.
    """
    gathered: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        if name in _LEFT_OUT:
            continue
        parts = gathered.setdefault(released_name(name), {})
        if (part := _part(name)) in parts:
            raise ValueError(f"The file holds '{name}' twice, in two spellings.")
        parts[part] = tensor
    return {name: _fused(name, parts) for name, parts in gathered.items()}


def to_transformers(state: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """Renames the entries of MAE to the names in files of transformers; `prefix` precedes those of the encoder.

    Raises:
        ValueError: An entry has no place in Hugging Face's ViT.
    """
    out: dict[str, Tensor] = {}
    for name, tensor in state.items():
        for theirs, piece in zip(*_transformers_names(name, tensor), strict=True):
            out[theirs if theirs.startswith("decoder.") else prefix + theirs] = piece.contiguous()
    return out


def _transformers_names(name: str, tensor: Tensor) -> tuple[list[str], list[Tensor]]:
    for ours, theirs in (_PLAIN | _DECODER).items():
        if name == ours or (ours.endswith(".") and name.startswith(ours)):
            return [theirs + name.removeprefix(ours)], [tensor]
    if found := re.fullmatch(r"((?:decoder_)?blocks\.)(\d+)\.(.+)", name):
        block, rest = f"{_STACKS[found[1]]}{found[2]}.", found[3]
        if qkv := re.fullmatch(r"attn\.qkv\.(weight|bias)", rest):
            return [f"{block}attention.attention.{part}.{qkv[1]}" for part in _PARTS], list(tensor.chunk(3))
        for ours, theirs in _BLOCK.items():
            if rest.startswith(ours):
                return [block + theirs + rest.removeprefix(ours)], [tensor]
    raise ValueError(f"Hugging Face's ViT has no place for '{name}'; only plain ViTs with a class token can go there.")


def _part(name: str) -> str:
    found = re.search(r"\.attention\.(?:attention\.)?(query|key|value|[qkv]_proj)\.", name)
    return {"q": "query", "k": "key", "v": "value"}[found[1][0]] if found else ""


def _fused(name: str, parts: Mapping[str, Tensor]) -> Tensor:
    if "" in parts:
        return parts[""]
    if missing := [part for part in _PARTS if part not in parts]:
        raise ValueError(f"Of {name} the file lacks {' and '.join(missing)}.")
    return torch.cat([parts[part] for part in _PARTS])

"""Features of the images of a split at all depths, extracted in one pass."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor
from torch.utils.data import DataLoader

from mimbench.core.errors import UserError
from mimbench.data import Batch
from mimbench.encoders import Encoder

LABELS = "labels"

FeatureKind = Literal["patches", "token", "both"]
"""The mean of the patch tokens, the class token, or both concatenated."""


@dataclass(frozen=True)
class Rows:
    """Features of many images, one row each, which are read in parts and may exceed the memory.

    Attributes:
        parts: Tensors whose concatenated rows are the features; memory-mapped ones are allowed.
        device: Device of the returned rows.
    """

    parts: tuple[Float[Tensor, "n _"], ...]
    device: torch.device

    def __len__(self) -> int:
        return len(self.parts[0])

    @property
    def width(self) -> int:
        return sum(part.shape[1] for part in self.parts)

    def __getitem__(self, index: slice | Int64[Tensor, " b"]) -> Float[Tensor, "b d"]:
        parts = [part[index].to(self.device) for part in self.parts]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def blocks(self, size: int) -> Iterator[Float[Tensor, "b d"]]:
        """All rows in order, `size` at a time."""
        return (self[start : start + size] for start in range(0, len(self), size))


@dataclass(frozen=True)
class Features:
    """Features and labels of one split in its order, in memory or memory-mapped.

    Attributes:
        patches: Mean of the patch tokens, by depth; the trunk's final norm is applied at the last depth only.
        token: Class token by depth; empty for a trunk without one.
        labels: Class of each image; negative if unknown.
        device: Device of the protocols' computations.
    """

    patches: dict[int, Float32[Tensor, "n _"]]
    token: dict[int, Float32[Tensor, "n _"]]
    labels: Int64[Tensor, " n"]
    device: torch.device

    @property
    def last_depth(self) -> int:
        return max(self.patches)

    def rows(self, depth: int, kind: FeatureKind = "patches") -> Rows:
        """One kind of feature at one depth, to be read in parts.

        Raises:
            ValueError: There is no such feature, such as the class token of a trunk without one.
        """
        tables = {"patches": [self.patches], "token": [self.token], "both": [self.patches, self.token]}[kind]
        if any(depth not in table for table in tables):
            raise ValueError(
                f"There is no {kind} feature at depth {depth}. 'token' and 'both' need an encoder with a class token."
            )
        return Rows(tuple(table[depth] for table in tables), self.device)

    def at(self, depth: int, kind: FeatureKind = "patches") -> Float[Tensor, "n d"]:
        """One kind of feature at one depth as one tensor on `device`."""
        return self.rows(depth, kind)[:]


def extract(
    encoder: Encoder, loader: DataLoader[Batch], depths: Collection[int], device: torch.device | str = "cpu"
) -> Features:
    """Extracts features of unmasked images in evaluation mode and the precision of the weights.

    The encoder is moved to `device`; the training flags of its modules are restored. The features stay in memory.

    Raises:
        ValueError: The loader skips images.
        UserError: A feature is not finite.
    """
    num_images = len(loader.dataset)  # pyright: ignore[reportArgumentType]
    rows = {
        name: torch.empty(num_images, *tail, dtype=dtype)
        for name, (tail, dtype) in shapes(encoder, names(encoder, depths)).items()
    }
    fill(rows, encoder, loader, device)
    return assemble(rows, device)


def names(encoder: Encoder, depths: Collection[int]) -> set[str]:
    """Names of all features of an encoder at the given depths."""
    kinds = ("patches", "token") if _has_token(encoder) else ("patches",)
    return {f"{kind}-{depth}" for kind in kinds for depth in depths}


def shapes(encoder: Encoder, wanted: Collection[str]) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Shape and type per image of the labels and the wanted features by name, without those that the encoder lacks."""
    available = {name for name in wanted if name in names(encoder, [_depth(name)])}
    widths = {name: (encoder.taps[_depth(name)].width,) for name in sorted(available)}
    return {LABELS: ((), torch.int64)} | {name: (width, torch.float32) for name, width in widths.items()}


def fill(
    rows: Mapping[str, Tensor], encoder: Encoder, loader: DataLoader[Batch], device: torch.device | str = "cpu"
) -> None:
    """Extracts the features named by `rows` into its tensors; see `extract`."""
    num_images, done = len(rows[LABELS]), 0
    wanted = [name for name in rows if name != LABELS]
    with _evaluating(encoder.to(device)):
        for batch in loader:
            values = _describe(encoder, batch.images.to(device), wanted) if wanted else {}
            for name, value in (values | {LABELS: batch.labels}).items():
                rows[name][done : done + len(value)] = value
            done += len(batch.labels)
    if done != num_images:
        raise ValueError(f"The loader returned {done} of {num_images} images; use datamodule.plain(split).")


def assemble(rows: Mapping[str, Tensor], device: torch.device | str) -> Features:
    """Features from tensors named "labels", "patches-<depth>" and "token-<depth>"."""

    def by_depth(kind: str) -> dict[int, Tensor]:
        return {depth: rows[f"{kind}-{depth}"] for depth in sorted(_depth(n) for n in rows if n.startswith(kind))}

    return Features(by_depth("patches"), by_depth("token"), rows[LABELS], torch.device(device))


def _depth(name: str) -> int:
    return int(name.rpartition("-")[2])


def _has_token(encoder: Encoder) -> bool:
    return getattr(encoder.trunk, "cls_token", None) is not None


@contextmanager
def _evaluating(encoder: Encoder) -> Iterator[None]:
    modes = [(module, module.training) for module in encoder.modules()]
    encoder.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@torch.inference_mode()
def _describe(encoder: Encoder, images: Tensor, wanted: Collection[str]) -> dict[str, Tensor]:
    dtype = next(encoder.parameters()).dtype
    with torch.autocast(images.device.type, enabled=False):
        tokens = encoder(images.to(dtype), {_depth(name) for name in wanted})
    values = {}
    for name in wanted:
        at = tokens[_depth(name)]
        # In timm the class token precedes the register tokens.
        values[name] = at.patches.float().mean(1) if name.startswith("patches") else at.prefix[:, 0].float()
        if not values[name].isfinite().all():
            raise UserError(f"Features ({name}) are not finite; evaluate a checkpoint from before training diverged.")
    return values

"""What an encoder says about the images of a split, at all depths from one pass."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.utils.data import DataLoader

from mimbench.data import Batch
from mimbench.encoders import Encoder

LABELS = "labels"


@dataclass(frozen=True)
class Features:
    """Features and labels of one split, in its order, in main memory or in files.

    Attributes:
        patches: Mean of the patch tokens, by depth; the trunk's final norm is applied at the last depth only.
        token: Class token by depth; empty for a trunk without one.
        labels: Class of every image; negative where unknown.
        device: Where protocols compute with them.
    """

    patches: dict[int, Float32[Tensor, "n _"]]
    token: dict[int, Float32[Tensor, "n _"]]
    labels: Int64[Tensor, " n"]
    device: torch.device

    @property
    def last_depth(self) -> int:
        return max(self.patches)

    def at(self, depth: int) -> Float32[Tensor, "n d"]:
        """The mean of the patch tokens at one depth, on `device`."""
        return self.patches[depth].to(self.device)


def extract(
    encoder: Encoder,
    loader: DataLoader[Batch],
    depths: Collection[int],
    device: torch.device | str = "cpu",
    directory: Path | None = None,
) -> Features:
    """Runs the encoder over whole images once, in evaluation mode and single precision.

    The encoder is moved to `device`; the training flags of its modules are put back.

    Args:
        directory: Where to write the features, one .npy per depth; without it they stay in memory.

    Raises:
        ValueError: The loader leaves out images, or a feature is not finite.
    """
    num_images = len(loader.dataset)  # pyright: ignore[reportArgumentType]
    rows: dict[str, Tensor] = {}
    done = 0
    with _evaluating(encoder.to(device)):
        for batch in loader:
            values = {LABELS: batch.labels} | _describe(encoder, batch.images.to(device), depths)
            for name, value in values.items():
                if name not in rows:
                    rows[name] = _allocate(num_images, value, directory and directory / f"{name}.npy")
                rows[name][done : done + len(value)] = value
            done += len(batch.labels)
    if done != num_images:
        raise ValueError(f"The loader delivered {done} of {num_images} images; use datamodule.plain(split).")
    return assemble(rows, device)


def assemble(rows: dict[str, Tensor], device: torch.device | str) -> Features:
    """Features from tensors named "labels", "patches-<depth>" and "token-<depth>"."""

    def by_depth(kind: str) -> dict[int, Tensor]:
        found = (name.rpartition("-") for name in rows if name.startswith(f"{kind}-"))
        return {depth: rows[f"{kind}-{depth}"] for depth in sorted(int(depth) for _, _, depth in found)}

    return Features(by_depth("patches"), by_depth("token"), rows[LABELS], torch.device(device))


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
def _describe(encoder: Encoder, images: Tensor, depths: Collection[int]) -> dict[str, Tensor]:
    dtype = next(encoder.parameters()).dtype
    with torch.autocast(images.device.type, enabled=False):
        tokens = encoder(images.to(dtype), depths)
    values = {f"patches-{depth}": tokens[depth].patches.float().mean(1) for depth in depths}
    # timm puts the class token in front of the registers.
    if getattr(encoder.trunk, "cls_token", None) is not None:
        values |= {f"token-{depth}": tokens[depth].prefix[:, 0].float() for depth in depths}
    for name, value in values.items():
        if not value.isfinite().all():
            raise ValueError(f"Features ({name}) are not finite; evaluate a checkpoint from before training diverged.")
    return values


def _allocate(num_images: int, like: Tensor, path: Path | None) -> Tensor:
    shape = (num_images, *like.shape[1:])
    if path is None:
        return torch.empty(shape, dtype=like.dtype)
    kind = np.int64 if like.dtype == torch.int64 else np.float32
    return torch.from_numpy(np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape))

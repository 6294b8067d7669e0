"""LocalMIM: targets of finer scale at shallower layers (Wang et al., 2023, arXiv 2303.05251)."""

from collections.abc import Sequence

from mimbench.decoders import ScaleHead, TokenDecoder
from mimbench.encoders import Encoder
from mimbench.maskers import Masker
from mimbench.methods.base import check_depths
from mimbench.methods.branched import BranchedMethod
from mimbench.targets import TargetAt

SCALES = ("fine-to-coarse", "coarse-to-fine", "single")


class LocalMIM(BranchedMethod):
    """Predicts small cells from shallow layers and large cells from deep ones.

    Every tap has its own norm, except the last, to which the encoder's final norm is applied.

    Args:
        depths: Depths with a decoder; by default 2, 4, L - 2 and L of L units, or four evenly spaced ones if L < 8.
        cells: Side of every decoder's cells in pixels; by default 1/4, 1/2, 1 and 2 patches, but at least 2 px; for a
            Swin, whose patches grow with depth, its own patches (8, 16, 32, 32 px).
        scales: Order of the default cells over the depths: "fine-to-coarse", "coarse-to-fine", or "single", the patch
            size of the encoder's output at every depth.
        num_taps: How many of the four default depths are read, evenly spaced and including the deepest: 1, 2 or 4.
        dim: Width of all decoders, or one width per depth; a single width is halved at a Swin's first depth.
    """

    def __init__(
        self,
        encoder: Encoder,
        masker: Masker,
        target: TargetAt,
        depths: Sequence[int] | None = None,
        cells: Sequence[int] | None = None,
        dim: int | Sequence[int] = 256,
        num_blocks: int = 1,
        num_heads: int = 8,
        mlp_ratio: float = 4.0,
        scales: str = "fine-to-coarse",
        num_taps: int = 4,
    ):
        if num_taps not in (1, 2, 4) or scales not in SCALES:
            raise ValueError(
                f"LocalMIM needs num_taps of 1, 2 or 4, and scales of {', '.join(SCALES)}; "
                f"got {num_taps} and '{scales}'."
            )
        depths = check_depths(depths or _evenly_spaced(localmim_depths(encoder.depth), num_taps), encoder)
        cells = cells or localmim_cells(depths, encoder, scales)
        dims = localmim_dims(dim, depths, encoder) if isinstance(dim, int) else tuple(dim)
        if not len(cells) == len(dims) == len(depths):
            raise ValueError(
                f"LocalMIM needs a cell size and a width for every depth, got depths {list(depths)}, "
                f"cells {list(cells)} and dim {list(dims)}."
            )
        targets, decoders = [target(cell) for cell in cells], list[TokenDecoder]()
        for depth, width, value in zip(depths, dims, targets, strict=True):
            tap = encoder.taps[depth]
            head = ScaleHead(tap, width, value.cell, value.dim)
            raw = depth < encoder.depth
            decoders.append(TokenDecoder(tap, width, num_blocks, num_heads, head, norm_input=raw, mlp_ratio=mlp_ratio))
        super().__init__(encoder, masker, depths, decoders, targets)


def localmim_depths(depth: int) -> tuple[int, ...]:
    """The paper's four depths, or four evenly spaced ones in an encoder of fewer than 8 units.

    Raises:
        ValueError: The encoder has fewer than four units.
    """
    if depth < 4:
        raise ValueError(f"LocalMIM reads four depths, the encoder has {depth}; use encoder.depth=4 or more.")
    return (2, 4, depth - 2, depth) if depth >= 8 else tuple(depth * i // 4 for i in (1, 2, 3, 4))


def localmim_cells(depths: Sequence[int], encoder: Encoder, scales: str = "fine-to-coarse") -> tuple[int, ...]:
    """1/4, 1/2, 1 and 2 patches, but at least 2 px: a cell of one pixel has neither a variance nor a gradient."""
    patch = encoder.taps[-1].cell
    if scales == "single":
        return (patch,) * len(depths)
    if _is_pyramid(encoder):
        cells = tuple(encoder.taps[depth].cell for depth in depths)
    else:
        four = tuple(max(2, int(patch * scale)) for scale in (1 / 4, 1 / 2, 1, 2))
        cells = _evenly_spaced(four, len(depths)) if len(depths) in (1, 2) else four
    return cells if scales == "fine-to-coarse" else cells[::-1]


def localmim_dims(dim: int, depths: Sequence[int], encoder: Encoder) -> tuple[int, ...]:
    """One width for all decoders, halved at a pyramid's first depth, which has the most tokens (released code)."""
    return tuple(dim // 2 if depth == 1 and _is_pyramid(encoder) else dim for depth in depths)


def _evenly_spaced(four: tuple[int, ...], count: int) -> tuple[int, ...]:
    """The last, the second and the last, or all of four values."""
    return four[4 // count - 1 :: 4 // count]


def _is_pyramid(encoder: Encoder) -> bool:
    return encoder.taps[0].cell < encoder.taps[-1].cell

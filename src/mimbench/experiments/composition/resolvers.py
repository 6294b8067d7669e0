"""Interpolations of the configuration files beyond OmegaConf's own."""

from omegaconf import DictConfig, OmegaConf

_NARROW = 512  # width from which on an encoder is large enough for published decoders


def register() -> None:
    """Makes the interpolations known; needed before a configuration is resolved."""
    OmegaConf.register_new_resolver("decoder", _decoder, replace=True)


def _decoder(key: str, published: int, *, _root_: DictConfig) -> int:
    """A decoder's `dim`, `num_blocks` or `num_heads`: the published value, or with `decoder: encoder` a smaller one.

    Beside a narrow ViT, a decoder is as wide as the encoder, half as deep and has as many heads.
    """
    width, depth, heads = (_root_.encoder.get(name) for name in ("width", "depth", "num_heads"))
    sizes = (width, depth, heads)
    if _root_.get("decoder") != "encoder" or not all(isinstance(size, int) for size in sizes) or width >= _NARROW:
        return published
    if key == "dim":
        return min(published, width)
    if key == "num_blocks":
        return min(published, max(1, depth // 2))
    return heads if _root_.method.dim == width else published

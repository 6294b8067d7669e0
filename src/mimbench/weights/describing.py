"""Describes a file of weights in words."""

from dataclasses import replace

from mimbench.weights.recognize import Recognized


def format_text(name: str) -> str:
    """Name of a format with other code that uses the same parameter names."""
    return name + _ALSO.get(name, "")


_FAMILIES = {"vit": "ViT", "swin": "Swin", "beit": "ViT with a shared relative position bias"}
_ALSO = {
    "timm": " (an encoder alone; MAE's have the same names)",
    "mae-finetune": " (a classifier; DeepMIM's, LocalMIM's on ViT and timm's have the same names)",
    "mirl-finetune": " (a classifier in Paddle's layout)",
    "localmim-swin-finetune": " (in the names of Swin's authors)",
}


def described(found: Recognized, num_heads: int | None) -> dict[str, str]:
    """Describes weights, by topic.

    Args:
        num_heads: Attention heads of a ViT if a file beside the weights contains them.
    """
    a = found.architecture
    try:
        told = a.num_heads is not None or num_heads is not None
        heads = a.num_heads or replace(a, branches=None).completed(found.format, num_heads=num_heads).num_heads
        assert heads is not None
        heads_text = _joined(heads) + ("" if told else " (not in the weights; the papers' for this width)")
    except ValueError:
        heads_text = "not in the weights; give them with --num-heads"
    size = f"{a.image_size} px" if a.image_size else "not in the weights"
    grid = f", {a.image_size // a.patch_size} x {a.image_size // a.patch_size} patches" if a.image_size else ""
    rows = {
        "encoder": f"{_FAMILIES[a.family]}, width {a.width}, {_joined(a.num_blocks)} blocks",
        "heads": heads_text,
        "image": f"{size}{grid} of {a.patch_size} px, {a.in_channels} channels",
    }
    if a.window:
        rows["window"] = str(a.window)
    if differences := [f"{name}={value}" for name, value in a.timm.items() if name != "fc_norm"]:
        rows["unlike MAE's"] = ", ".join(differences)
    if a.num_classes:
        rows["head"] = f"{a.num_classes} classes on the {'mean' if a.global_pool == 'avg' else 'class token'}"
    if (b := a.branches) is not None:
        plural = "s" if b.num_blocks > 1 else ""
        where = f"{len(b.depths)} at depths {_joined(b.depths)}" if b.depths else "at depths not in the weights"
        if b.method == "ijepa":
            where = "a predictor of features"
        if b.method in ("mff", "crossmae"):
            where = f"one that reads depths {_joined(b.depths)}" if b.depths else "one, of depths not in the weights"
        size = f"width {b.dim}, {b.num_blocks} block{plural}" if b.num_blocks else "a linear layer"
        rows["decoders"] = f"{where}, {size}"
        rows["target"] = f"HOG, {b.bins} bins{', biased' if b.bias else ''}" if b.bins else f"{b.target_dim} values"
    return rows


def _joined(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))

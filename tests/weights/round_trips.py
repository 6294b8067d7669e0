"""In by the command, out by the command, and in again."""

import json
from pathlib import Path

import torch
from cases.base import Case

from mimbench.cli.weights import main
from mimbench.weights import export_weights, read_file, read_state_dict

NAMES = {"MAE": "mae", "DeepMIM": "deepmim", "LocalMIM ViT": "localmim-vit", "MIRL": "mirl"}
NAMES |= {"MAE fine-tuning": "mae-finetune", "MIRL fine-tuning": "mirl-finetune"}
NAMES |= {"CrossMAE": "crossmae", "MFF": "mff", "SimMIM": "simmim", "I-JEPA": "ijepa"}
NAMES |= {"LocalMIM Swin with released quirks": "localmim-swin"}


def as_words(case: Case) -> list[str]:
    """What shapes do not tell of a small model."""
    words = ["--decoder-heads", str(case.config["decoder_num_heads"])] if "decoder_num_heads" in case.config else []
    if depths := getattr(case, "depths", None):
        words += ["--depths", ",".join(map(str, depths))]
    heads = case.config["num_heads"]
    # Relative-position tables tell the heads.
    told = isinstance(heads, list) or any("relative_position_bias_table" in name for name in case.shapes)
    return words if told else [*words, "--num-heads", str(heads)]


def round_trip(case: Case, path: Path, tmp_path: Path, words: list[str]) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    name = NAMES[case.format.name]
    assert main(["import", str(path), "--format", name, "--out", str(first), *words]) == 0
    notes = json.loads((first / "weights.json").read_text())
    assert notes["entries"].keys() == case.shapes.keys()
    fates = {entry: fate["fate"] for entry, fate in notes["entries"].items()}
    assert set(fates.values()) <= {"used", "created by us"}
    tables = ("decoder_pos_embed", "pos_embed", "conv.weight", "relative_position_index", "attn_mask")
    assert all(any(table in entry for table in tables) for entry, fate in fates.items() if fate == "created by us")
    released, _ = export_weights(first, "released", tmp_path / "released.safetensors")
    given = read_file(path).state
    out = read_state_dict(released)
    assert out.keys() == given.keys()
    used = [entry for entry, fate in fates.items() if fate == "used"]
    assert all(torch.equal(out[entry], given[entry]) for entry in used)
    tolerance = case.format.tolerance
    assert all(torch.allclose(out[entry], given[entry].to(out[entry]), rtol=0, atol=tolerance) for entry in out)
    assert main(["import", str(released), "--format", name, "--out", str(again), *words]) == 0
    tuned = name.endswith("-finetune")
    assert (first / "method.safetensors").exists() is not tuned
    for file in ("encoder.safetensors", "classifier.safetensors" if tuned else "method.safetensors"):
        before, after = read_state_dict(first / file), read_state_dict(again / file)
        assert before.keys() == after.keys()
        assert all(torch.equal(tensor, after[entry]) for entry, tensor in before.items())

"""Files of weights as other projects leave them: each is read with its values, or refused with what it is."""

import argparse
import gzip
import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import Tensor

from mimbench.cli import main

with torch.random.fork_rng():
    torch.manual_seed(0)
    MODEL = VisionTransformer(img_size=32, patch_size=8, embed_dim=48, depth=2, num_heads=4, num_classes=10)
STATE = {name: tensor.clone() for name, tensor in MODEL.state_dict().items()}
ENCODER = {name: tensor for name, tensor in STATE.items() if not name.startswith("head.")}
Write = Callable[[Path], Any]


def saved(content: Any) -> Write:
    return lambda path: torch.save(content, path)


def named(prefix: str, state: Mapping[str, Tensor] = STATE) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


def content(data: bytes) -> Write:
    return lambda path: path.write_bytes(data)


def safetensors(path: Path) -> None:
    save_file(STATE, path)


def sharded(folder: Path) -> None:
    """A folder of Hugging Face with two files and their index."""
    folder.mkdir()
    files = {name: f"model-0000{1 + k % 2}-of-00002.safetensors" for k, name in enumerate(STATE)}
    for file in set(files.values()):
        save_file({name: STATE[name] for name in STATE if files[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))


def leading_out(folder: Path) -> None:
    folder.mkdir()
    save_file(STATE, folder.parent / "secret.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../secret.safetensors"}}))


def half(path: Path) -> None:
    data = path.with_suffix(".whole")
    torch.save(STATE, data)
    path.write_bytes(data.read_bytes()[: data.stat().st_size // 2])


def half_safetensors(path: Path) -> None:
    save_file(STATE, path)
    path.write_bytes(path.read_bytes()[:-1000])


LIGHTNING = {"pytorch-lightning_version": "2.5.0", "epoch": 1, "global_step": 5, "loops": {}, "hyper_parameters": {}}
OPTIMIZER = torch.optim.AdamW(MODEL.parameters()).state_dict()
OTHERS = {name: 2 * tensor for name, tensor in STATE.items()}

# Name of the file, how it is written, and the precision of its values.
READ: dict[str, tuple[str, Write, torch.dtype]] = {
    "weights alone": ("a.pth", saved(STATE), torch.float32),
    "with any name": ("weights.bin", saved(STATE), torch.float32),
    "arguments, optimizer and scaler": (
        "a.pth",
        saved({"model": STATE, "args": argparse.Namespace(lr=1), "optimizer": OPTIMIZER, "scaler": {"scale": 2.0}}),
        torch.float32,
    ),
    "moving average beside the model": ("a.pth", saved({"model": STATE, "model_ema": OTHERS}), torch.float32),
    "moving average beside the state": ("a.pth", saved({"state_dict": STATE, "state_dict_ema": OTHERS}), torch.float32),
    "module.": ("a.pth", saved(named("module.")), torch.float32),
    "_orig_mod.": ("a.pth", saved(named("_orig_mod.")), torch.float32),
    "encoder.": ("a.pth", saved(named("encoder.")), torch.float32),
    "backbone.": ("a.pth", saved({"state_dict": named("backbone.")}), torch.float32),
    "model.": ("a.pth", saved({"state_dict": named("model.")}), torch.float32),
    "module._orig_mod.": ("a.pth", saved({"model": named("module._orig_mod.")}), torch.float32),
    "_orig_mod.module.": ("a.pth", saved({"model": named("_orig_mod.module.")}), torch.float32),
    "module.encoder.": ("a.pth", saved(named("module.encoder.")), torch.float32),
    "model.backbone.": ("a.pth", saved(named("model.backbone.")), torch.float32),
    "model._orig_mod.": ("a.pth", saved(named("model._orig_mod.")), torch.float32),
    "Lightning's checkpoint": (
        "a.ckpt",
        saved({**LIGHTNING, "state_dict": {**named("model."), "loss.weight": torch.ones(2)}}),
        torch.float32,
    ),
    "half precision": ("a.pth", saved({n: t.half() for n, t in STATE.items()}), torch.float16),
    "bfloat16": ("a.pth", saved({n: t.bfloat16() for n, t in STATE.items()}), torch.bfloat16),
    "older PyTorch": (
        "a.pth",
        lambda path: torch.save(STATE, path, _use_new_zipfile_serialization=False),
        torch.float32,
    ),
    "without a head": ("a.pth", saved(ENCODER), torch.float32),
    "head of another size": (
        "a.pth",
        saved(STATE | {"head.weight": torch.ones(1000, 48), "head.bias": torch.ones(1000)}),
        torch.float32,
    ),
    "safetensors": ("a.safetensors", safetensors, torch.float32),
    "safetensors with the name of a PyTorch file": ("a.pth", safetensors, torch.float32),
    "several files with an index": ("folder", sharded, torch.float32),
}

REFUSED: dict[str, tuple[str, Write, str]] = {
    "empty": ("a.pth", content(b""), "a.pth contains no weights: it is empty."),
    "words": ("a.pth", content(b"these are words"), "neither safetensors, nor PyTorch's, nor a pickle"),
    "web page": ("a.pth", content(b"<!DOCTYPE html><html>"), "it is a web page or another text"),
    "pointer of Git LFS": ("a.pth", content(b"version https://git-lfs.github.com/spec/v1"), "git lfs pull"),
    "gzip": ("a.pth.gz", content(gzip.compress(pickle.dumps(3))), "it is compressed with gzip; unpack it"),
    "Keras": ("a.h5", content(b"\x89HDF\r\n\x1a\n" + bytes(90)), "it is an HDF5 file"),
    "truncated": ("a.pth", half, "a.pth cannot be read; it is truncated or damaged"),
    "truncated safetensors": ("a.safetensors", half_safetensors, "it is truncated or damaged"),
    "a whole model": ("a.pth", saved(MODEL), "asks for timm.models.vision_transformer.VisionTransformer"),
    "a list": ("a.pth", saved([1, 2]), "contains a list instead of weights by name"),
    "a tensor": ("a.pth", saved(torch.ones(3)), "contains a Tensor instead of weights by name"),
    "nothing": ("a.pth", saved({}), "a.pth contains no weights."),
    "student and teacher": (
        "a.pth",
        saved({"student": named("module."), "teacher": STATE, "epoch": 3}),
        "contains several models or states (student, teacher); save the entry of one of them",
    ),
    "with and without a prefix": ("a.pth", saved(STATE | named("module.")), "with and without the prefix"),
    "a convolutional network": (
        "a.pth",
        saved({"conv1.weight": torch.ones(8, 3, 7, 7), "fc.weight": torch.ones(2, 8)}),
        "The format of these weights is unknown; they begin with conv1.weight, fc.weight.",
    ),
    "an index that leads out": ("folder", leading_out, "which does not lie beside it"),
    "a folder without weights": ("folder", Path.mkdir, "contains no weights; expected one of"),
    "no file": ("a.pth", lambda _: None, "is not a file; expected a file of weights"),
}


@pytest.mark.parametrize("case", READ)
def test_weights_are_those_of_the_file(tmp_path: Path, case: str) -> None:
    name, write, precision = READ[case]
    write(tmp_path / name)
    assert main(["weights", "inspect", str(tmp_path / name)]) == 0
    command = ["weights", "import", str(tmp_path / name), "--num-heads", "4", "--out", str(tmp_path / "out")]
    assert main(command) == 0
    found = load_file(tmp_path / "out" / "encoder.safetensors")
    assert found.keys() == ENCODER.keys()
    for entry, tensor in ENCODER.items():
        torch.testing.assert_close(found[entry].float(), tensor.to(precision).float(), rtol=0, atol=0)


@pytest.mark.parametrize("command", ["inspect", "import"])
@pytest.mark.parametrize("case", REFUSED)
def test_other_files_are_refused_in_one_line(tmp_path: Path, case: str, command: str, capsys: Any) -> None:
    name, write, message = REFUSED[case]
    write(tmp_path / name)
    out = [] if command == "inspect" else ["--out", str(tmp_path / "out")]
    assert main(["weights", command, str(tmp_path / name), *out]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", [48, 64])
def test_positions_follow_another_image_size(tmp_path: Path, size: int) -> None:
    torch.save({"model": named("module.")}, tmp_path / "a.pth")
    out = tmp_path / "out"
    sizes = ["--num-heads", "4", "--image-size", str(size)]
    assert main(["weights", "import", str(tmp_path / "a.pth"), *sizes, "--out", str(out)]) == 0
    other = VisionTransformer(img_size=size, patch_size=8, embed_dim=48, depth=2, num_heads=4, num_classes=0)
    expected = checkpoint_filter_fn(dict(ENCODER), other)["pos_embed"]
    torch.testing.assert_close(load_file(out / "encoder.safetensors")["pos_embed"], expected)

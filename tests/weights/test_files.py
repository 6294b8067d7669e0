"""Files are read by their content, and nothing in them is run."""

import argparse
import io
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mimbench.weights import read_file, read_state_dict

WEIGHTS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.int64)}


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function: Any, *arguments: Any):
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def check(path: Path) -> None:
    read = read_state_dict(path)
    assert read.keys() == WEIGHTS.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in WEIGHTS.items())


@pytest.mark.parametrize("wrap", [lambda w: w, lambda w: {"model": w, "epoch": 1}, lambda w: {"state_dict": w}])
@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files_of_both_ages_are_read_wrapped_or_not(tmp_path: Path, wrap: Any, zipped: bool):
    torch.save(wrap(WEIGHTS), tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    check(tmp_path / "w.pth")


def test_the_parsed_arguments_beside_released_weights_do_no_harm(tmp_path: Path):
    torch.save({"model": WEIGHTS, "args": argparse.Namespace(lr=1.0), "epoch": 2}, tmp_path / "w.pth")
    check(tmp_path / "w.pth")
    assert read_file(tmp_path / "w.pth").beside == ("args", "epoch")


def test_safetensors_are_read_whatever_the_ending(tmp_path: Path):
    save_file(WEIGHTS, tmp_path / "w.bin")
    check(tmp_path / "w.bin")


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("paired", [True, False])
def test_pickles_of_paddle_are_read_without_paddle(tmp_path: Path, protocol: int, paired: bool):
    arrays = {name: tensor.numpy() for name, tensor in WEIGHTS.items()}
    model = OrderedDict((name, (f"inner_{name}", array) if paired else array) for name, array in arrays.items())
    model["StructuredToParameterName@@"] = {"a": "inner_a"}
    content = {"model": model, "optimizer": {"lr": np.float64(1)}, "epoch": 1, "args": argparse.Namespace(x=[1])}
    (tmp_path / "w.pd").write_bytes(pickle.dumps(content, protocol=protocol))
    check(tmp_path / "w.pd")
    assert "StructuredToParameterName@@" in read_file(tmp_path / "w.pd").beside


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_malicious_pickle_is_refused_and_runs_nothing(tmp_path: Path, protocol: int):
    mark = tmp_path / "mark"
    touch = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    for function, argument in ((os.system, f"touch {mark}"), (eval, touch), (Path.touch, mark)):
        content = {"model": {"a": WEIGHTS["a"].numpy()}, "args": Call(function, argument)}
        (tmp_path / "w.pd").write_bytes(pickle.dumps(content, protocol=protocol))
        with pytest.raises(ValueError, match=r"refused: it asks for .+ nothing of it was run"):
            read_state_dict(tmp_path / "w.pd")
        assert not mark.exists()
        pickle.loads((tmp_path / "w.pd").read_bytes())  # The pickle does what it says where it is trusted
        assert mark.exists()
        mark.unlink()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_torch_file_is_refused_and_runs_nothing(tmp_path: Path, zipped: bool):
    mark = tmp_path / "mark"
    content = {"model": WEIGHTS, "args": Call(os.system, f"touch {mark}")}
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"refused: it asks for posix\.system"):
        read_state_dict(tmp_path / "w.pth")
    assert not mark.exists()


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",  # a method of an allowed class
        b"\x80\x04\x8c\x06codecs\x8c\x06decode\x93.",
        b"\x80\x02cbuiltins\ngetattr\n.",
        b"\x80\x02cnumpy\nload\n.",
    ],
)
def test_what_only_lies_near_the_allowed_is_refused(tmp_path: Path, pickled: bytes):
    (tmp_path / "w.pd").write_bytes(pickled)
    with pytest.raises(ValueError, match="refused"):
        read_state_dict(tmp_path / "w.pd")


def files() -> dict[str, bytes]:
    zipped, legacy = io.BytesIO(), io.BytesIO()
    torch.save(WEIGHTS, zipped)
    torch.save(WEIGHTS, legacy, _use_new_zipfile_serialization=False)
    pickled = pickle.dumps({name: tensor.numpy() for name, tensor in WEIGHTS.items()})
    return {"zipped": zipped.getvalue(), "legacy": legacy.getvalue(), "pickled": pickled}


@pytest.mark.parametrize("kind", files())
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, kind: str):
    data = files()[kind]
    for share in (0.3, 0.6, 0.95):
        (tmp_path / "w").write_bytes(data[: int(share * len(data))])
        with pytest.raises(ValueError, match=r"^w cannot be read; it is truncated or damaged"):
            read_state_dict(tmp_path / "w")


def test_a_name_that_is_cut_short_is_no_accusation(tmp_path: Path):
    data = files()["legacy"]
    (tmp_path / "w").write_bytes(data[: data.index(b"OrderedDict") + 8])
    with pytest.raises(ValueError, match=r"^w cannot be read; it is truncated or damaged"):
        read_state_dict(tmp_path / "w")


def test_safetensors_cut_short_are_refused(tmp_path: Path):
    save_file(WEIGHTS, tmp_path / "w")
    data = (tmp_path / "w").read_bytes()
    for length in (20, len(data) - 5):
        (tmp_path / "w").write_bytes(data[:length])
        with pytest.raises(ValueError, match="truncated or damaged"):
            read_state_dict(tmp_path / "w")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html>", "w contains no weights: it is a web page"),
        (b"", "w contains no weights: it is empty"),
        (b"words", "neither safetensors, nor PyTorch's, nor a pickle"),
        (pickle.dumps([1, 2]), "contains a list instead of weights by name"),
        (pickle.dumps({"model": {}}), "contains no weights"),
        (pickle.dumps({"a": "text"}), "Entry 'a' of w is a str"),
        (pickle.dumps({"a": np.array([None])}), "has arrays of type 'O8'"),
        (pickle.dumps({1: np.ones(2)}), "Entry 1 of w is"),
    ],
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes, message: str):
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_state_dict(tmp_path / "w")


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="is not a file"):
        read_state_dict(tmp_path / "w")

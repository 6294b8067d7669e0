"""Files of weights: no name in them is called, and no number in them is believed."""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from mimbench.cli import main
from mimbench.weights.files import read_file
from mimbench.weights.pickles import PickledArray, read_arrays


class Call:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None):
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.parts


def raw(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


def text(word: str) -> bytes:
    return b"\x8c" + struct.pack("<B", len(word)) + word.encode()


def name(module: str, word: str) -> bytes:
    return text(module) + text(word) + b"\x93"


RECONSTRUCT, SCALAR = np.empty(1).__reduce__()[0], np.float64(1).__reduce__()[0]
HOSTILE: dict[str, bytes] = {
    "a shell": pickle.dumps(Call(os.system, "touch marker")),
    "eval": pickle.dumps(Call(eval, "open('marker', 'w')")),
    "an array from the size of memory": pickle.dumps(Call(RECONSTRUCT, np.ndarray, (1 << 40,), b"b")),
    "an array of objects": pickle.dumps({"a": np.array([object], dtype=object)}),
    "an array at an address": pickle.dumps(Call(np.ndarray, (4,), "f8", b"0" * 8)),
    "a scalar of objects": pickle.dumps(Call(SCALAR, np.dtype("O"), b"\x01" * 8)),
    "a scalar without bytes": pickle.dumps(Call(SCALAR, np.dtype("f8"), b"")),
    "a type of records": pickle.dumps({"a": np.zeros(2, dtype=[("x", "f4"), ("y", "O")])}),
    "a type of texts": pickle.dumps({"a": np.zeros(2, dtype="U10")}),
    "a type of dates": pickle.dumps({"a": np.zeros(2, dtype="M8[s]")}),
    "a type of void": pickle.dumps({"a": np.zeros(2, dtype="V1000")}),
    "bytes of the size of memory": raw(name("builtins", "bytes"), b"K\x05\x85R"),
    "a bytearray of the size of memory": raw(
        name("builtins", "bytearray"), b"\x8a\x05", b"\x00" * 4 + b"\x10", b"\x85R"
    ),
    "a claimed bytearray": raw(b"\x96", struct.pack("<Q", 1 << 45), b"abc"),
    "claimed bytes": raw(b"\x8e", struct.pack("<Q", 1 << 45), b"abc"),
    "a claimed text": raw(b"\x8d", struct.pack("<Q", 1 << 45), b"abc"),
    "a claimed frame": raw(b"\x95", struct.pack("<Q", 1 << 45), b"N"),
    "a claimed integer": raw(b"\x8b", struct.pack("<i", 2**31 - 1), b"abc"),
    "a memo at the end of memory": raw(b"Nr", struct.pack("<I", 2**32 - 1)),
    "an extension": raw(b"\x82\x01"),
    "a persistent id": raw(b"K\x01Q"),
    "a buffer from outside": b"\x80\x05\x97.",
    "a change of a function": raw(name("numpy", "dtype"), b"}", text("__code__"), b"Nsb"),
    "a change of a type": raw(name("numpy", "ndarray"), b"}", text("x"), b"Nsb"),
    "a name inside a class": raw(name("numpy", "ndarray.tofile")),
    "a name with a dot in its module": raw(name("numpy.core.multiarray", "os")),
    "a type that is called": raw(name("builtins", "str"), b")R"),
    "keys nested to the stack's end": raw(b"}", b")" + b"\x85" * 200_000, b"Ns"),
    "a set of nested tuples": raw(b"\x8f(", b")" + b"\x85" * 200_000, b"\x90"),
    "an old instance": raw(b"(cos\nsystem\nio\n"),
    "the same bytes a thousand times": raw(
        b"(",
        name("_codecs", "encode") + b"q\x00",
        text("x" * 200) + b"q\x01",
        b"0" * 0,
        b"h\x00h\x01\x85R" * 5000,
        b"l",
    ),
}


@pytest.mark.parametrize("fault", HOSTILE)
def test_hostile_pickles_are_refused_in_one_line_and_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pdparams"
    path.write_bytes(HOSTILE[fault])
    tracemalloc.start()
    try:
        assert main(["weights", "inspect", str(path)]) == 2
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not (tmp_path / "marker").exists()
    assert peak < 100 << 20


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("kind", ["f2", "f4", ">f8", "i1", "<i8", "u2", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_what_numpy_pickled(protocol: int, kind: str, order: Any) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(kind, order=order)
    content = OrderedDict(a=array, b=[array[0, 0, 0], {"c": (1.5, "x", None, b"y")}], d=array[:0])
    found = read_arrays(pickle.dumps(content, protocol))
    assert isinstance(found["a"], PickledArray)
    np.testing.assert_array_equal(found["a"].array(), array)
    assert found["a"].array().dtype == array.dtype
    assert found["d"].array().shape == (0, 3, 4)
    assert found["b"][0].array() == array[0, 0, 0]
    assert found["b"][1] == {"c": (1.5, "x", None, b"y")}


def test_pickles_of_python_2_are_read() -> None:
    """Bytes are texts in latin1 there, as in Paddle's files."""
    stream = io.BytesIO()
    pickler = pickle._Pickler(stream, 2)  # type: ignore[attr-defined]
    pickler.dump({"a": np.arange(3, dtype=np.float32)})
    content = stream.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    np.testing.assert_array_equal(read_arrays(content)["a"].array(), [0, 1, 2])


def test_mutated_files_of_every_format_are_read_or_refused(tmp_path: Path) -> None:
    """MIMBENCH_FUZZ sets the number of mutations, and MIMBENCH_FUZZ_SEED which."""
    number, seed = os.environ.get("MIMBENCH_FUZZ", "400"), os.environ.get("MIMBENCH_FUZZ_SEED", "0")
    command = [sys.executable, str(Path(__file__).with_name("fuzz.py")), str(tmp_path), seed, number]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    at = (tmp_path / "at").read_text() if (tmp_path / "at").is_file() else "the start"
    assert done.returncode == 0, f"seed {seed}, at {at}: {done.stderr[-2000:]}"
    counts = json.loads(done.stdout)
    assert sum(sum(answers.values()) for answers in counts.values()) == int(number)
    assert all(answers.get("refused") for answers in counts.values())
    print(counts)


def test_a_safetensors_header_beyond_the_file_is_refused(tmp_path: Path) -> None:
    for size, header in (
        (1 << 62, b"{}"),
        (100, b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}'),
    ):
        path = tmp_path / "w.safetensors"
        path.write_bytes(struct.pack("<Q", size if size > 1000 else len(header)) + header + b"1234")
        with pytest.raises(ValueError, match=r"w\.safetensors cannot be read"):
            read_file(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_named_and_refused_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: float
) -> None:
    state = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2).state_dict()
    state["blocks.1.mlp.fc1.bias"][3] = value
    path = tmp_path / "w.safetensors"
    save_file(state, path)
    assert main(["weights", "inspect", str(path)]) == 0
    assert "warning: w.safetensors has NaN or infinity in blocks.1.mlp.fc1.bias." in capsys.readouterr().err
    assert main(["weights", "inspect", str(path), "--strict"]) == 2
    out = str(tmp_path / "out")
    assert main(["weights", "import", str(path), "--strict", "--num-heads", "3", "--out", out]) == 2
    assert not Path(out).exists()


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    """PyTorch's are never compressed; a small file could become a large one."""
    path = tmp_path / "w.pth"
    torch.save({"a": torch.zeros(1_000_000)}, path)
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as bomb:
        for member in archive.namelist():
            bomb.writestr(member, archive.read(member))
    with pytest.raises(ValueError, match="its archive is compressed"):
        read_file(tmp_path / "bomb.pth")


def test_a_tensor_larger_than_its_record_is_refused(tmp_path: Path) -> None:
    """PyTorch itself would read beyond the record unless the file is mapped."""
    path = tmp_path / "w.pth"
    torch.save({"a": torch.zeros(1000)}, path)
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(tmp_path / "more.pth", "w") as more:
        for member in archive.namelist():
            content = archive.read(member)
            if member.endswith("data.pkl"):
                number = struct.pack("<H", 1000)
                assert content.count(b"M" + number) >= 2  # the storage's size and the tensor's
                content = content.replace(b"M" + number, b"J" + struct.pack("<i", 2**30))
            more.writestr(member, content)
    with pytest.raises(ValueError, match=r"more\.pth cannot be read"):
        read_file(tmp_path / "more.pth")

"""Reads mutated files of weights until one crashes, hangs or takes too much memory: fuzz.py FOLDER SEED NUMBER.

Prints, by format, how many mutations were read and how many refused; the exit status is not 0 for anything else.
"""

import collections
import json
import pickle
import random
import resource
import signal
import sys
import warnings
from argparse import Namespace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from mimbench.weights.files import read_file

OPCODES = b"cRbBo}](tq\x81\x85\x86\x8a\x8b\x8c\x8d\x8e\x93\x95\x96."
SECONDS, MEMORY = 20, 200 << 20
STATE = {"patch_embed.proj.weight": torch.arange(48.0).reshape(3, 16), "norm.bias": torch.zeros(7, dtype=torch.half)}


def make_files(folder: Path) -> dict[str, Path]:
    """A small real file of every format."""
    arrays = {name: tensor.numpy() for name, tensor in STATE.items()}
    paddle = {name: (f"internal_{name}", array) for name, array in arrays.items()}
    files = {name: folder / name for name in ("safetensors", "torch", "legacy torch", "checkpoint")}
    save_file(STATE, files["safetensors"], {"format": "pt"})
    torch.save(STATE, files["torch"])
    torch.save({"model": STATE, "args": Namespace(lr=0.1)}, files["legacy torch"], _use_new_zipfile_serialization=False)
    torch.save({"state_dict": STATE, "epoch": 3, "optimizer": {"state": {}}}, files["checkpoint"])
    for protocol in (2, 3, 4, 5):
        content = (
            paddle | {"StructuredToParameterName@@": {}} if protocol % 2 else {"model": arrays, "lr": np.float64(1)}
        )
        files[f"pickle {protocol}"] = folder / f"pickle{protocol}"
        files[f"pickle {protocol}"].write_bytes(pickle.dumps(content, protocol))
    return files


def mutated(content: bytes, draw: random.Random) -> bytes:
    """One to four changes: bits, bytes, numbers, pieces left out, doubled or moved, opcodes of pickles, the end cut."""
    data = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(data)) if data else 0
        kind = draw.randrange(8)
        if not data:
            break
        if kind == 0:
            data[place] ^= 1 << draw.randrange(8)
        elif kind == 1:
            data[place] = draw.randrange(256)
        elif kind == 2:
            size = draw.choice([2, 4, 8])
            data[place : place + size] = draw.choice([b"\xff", b"\x7f", b"\x00", b"\x80"]) * size
        elif kind == 3:
            del data[place : place + draw.randint(1, 40)]
        elif kind == 4:
            data[place:place] = data[place : place + draw.randint(1, 200)] * draw.randint(1, 3)
        elif kind == 5:
            other = draw.randrange(len(data))
            data[place : place + 8] = data[other : other + 8]
        elif kind == 6:
            data[place:place] = bytes(
                draw.choice(b"cRbBo}](tq\x81\x85\x86\x8a\x8b\x8c\x8d\x8e\x93\x95\x96.") for _ in range(3)
            )
        else:
            del data[place:]
    return bytes(data)


def main(folder: Path, seed: int, number: int) -> None:
    warnings.simplefilter("ignore")
    files = make_files(folder)
    for path in files.values():
        read_file(path)  # everything is imported, and the originals are read
    counts: dict[str, collections.Counter[str]] = {name: collections.Counter() for name in files}
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("a file took too long"))
    for i in range(number):
        name = list(files)[i % len(files)]
        draw = random.Random(f"{seed} {i}")
        content = mutated(files[name].read_bytes(), draw)
        path = folder / "mutated"
        path.write_bytes(content)
        (folder / "at").write_text(str(i))
        limit = used + MEMORY + 2 * len(content)
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        signal.alarm(SECONDS)
        try:
            read_file(path)
            counts[name]["read"] += 1
        except ValueError as error:
            if len(str(error).splitlines()) != 1:
                raise SystemExit(f"more than one line: {error}") from error
            counts[name]["refused"] += 1
        signal.alarm(0)
    print(json.dumps(counts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

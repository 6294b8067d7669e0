"""Prints a part of a lock file: `python tools/lock.py without-cuda FILE` or `python tools/lock.py constraints FILE`.

`without-cuda` leaves out PyTorch, torchvision and NVIDIA's packages, hashes and all, for a CPU build from another
index; `torch` prints the two that were left out, without hashes; `constraints` prints all versions without hashes.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

_TORCH = ("torch", "torchvision")
# What only the CUDA build of PyTorch needs.
_CUDA = re.compile(r"(nvidia|cuda)-[a-z0-9-]+|triton")


def entries(lock: str) -> Iterator[tuple[str, str]]:
    """Name and text of every requirement; its hashes are on indented lines below it."""
    for match in re.finditer(r"^([A-Za-z0-9._-]+)==[^\n]*\n(?:[ \t]+[^\n]*\n?)*", lock, flags=re.MULTILINE):
        yield match[1].lower(), match[0]


def without_cuda(lock: str) -> str:
    return "".join(text for name, text in entries(lock) if name not in _TORCH and not _CUDA.fullmatch(name))


def torch(lock: str) -> str:
    return "".join(f"{_version(text)}\n" for name, text in entries(lock) if name in _TORCH)


def constraints(lock: str) -> str:
    return "".join(f"{_version(text)}\n" for _, text in entries(lock))


def _version(text: str) -> str:
    """Name, version and marker."""
    return text.partition("\n")[0].rstrip("\\ ")


PARTS = {"without-cuda": without_cuda, "torch": torch, "constraints": constraints}


def main(argv: list[str]) -> int:
    if len(argv) != 2 or argv[0] not in PARTS:
        print(f"Usage: python tools/lock.py {{{'|'.join(PARTS)}}} FILE", file=sys.stderr)
        return 2
    print(PARTS[argv[0]](Path(argv[1]).read_text(encoding="utf-8")), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

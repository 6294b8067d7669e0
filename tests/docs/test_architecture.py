"""The page on the architecture names what exists, and its picture shows the import order that is checked."""

import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "mimbench"
DOCS = ROOT / "docs"
TEXT = (DOCS / "about" / "architecture.md").read_text()
WALKS = re.findall(r"^## (From .*?) \((\d+) hops\)\n(.*?)(?=^## |\Z)", TEXT, flags=re.MULTILINE | re.DOTALL)
HOPS = re.findall(r"^\d+\. `([\w/]+\.py)` `([\w.]+)`", TEXT, flags=re.MULTILINE)


def resolved(module: str, name: str) -> Any:
    """What a dotted name in a module stands for; ImportError or AttributeError if it does not exist."""
    value: Any = import_module(module)
    for part in name.split("."):
        value = getattr(value, part)
    return value


@pytest.mark.parametrize(("file", "name"), HOPS, ids=[f"{file}:{name}" for file, name in HOPS])
def test_every_hop_exists(file: str, name: str) -> None:
    module = ".".join(("mimbench", *Path(file).with_suffix("").parts)).removesuffix(".__init__")
    value = resolved(module, name)
    assert callable(value)
    assert value.__module__ == module, f"{name} is defined in {value.__module__}."


def test_the_four_walks_have_as_many_hops_as_they_say() -> None:
    assert len(WALKS) == 4
    for title, count, text in WALKS:
        numbers = [int(number) for number in re.findall(r"^(\d+)\. ", text, flags=re.MULTILINE)]
        hops = re.findall(r"^\d+\. `[\w/]+\.py` `[\w.]+` ", text, flags=re.MULTILINE)
        assert numbers == list(range(1, int(count) + 1)), title
        assert len(hops) == int(count), title


def test_every_file_and_dotted_name_of_the_page_exists() -> None:
    quoted = set(re.findall(r"`([^`\n]+)`", TEXT))
    for file in {word for word in quoted if re.fullmatch(r"[\w/]+\.(?:py|yaml|toml)", word)}:
        assert any((place / file).is_file() for place in (SOURCE, ROOT)), file
    names = {word for word in quoted if word.startswith("mimbench.")}
    assert names
    for name in names:
        parts = name.split(".")
        module = next(
            ".".join(parts[:end])
            for end in range(len(parts) - 1, 0, -1)
            if (ROOT / "src" / Path(*parts[:end])).with_suffix(".py").is_file()
            or (ROOT / "src" / Path(*parts[:end])).is_dir()
        )
        resolved(module, ".".join(parts[len(module.split(".")) :]))


def test_the_picture_shows_the_checked_import_order() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    checked = [sorted(name.strip().removeprefix("mimbench.") for name in layer.split("|")) for layer in layers]
    picture = (DOCS / "figures" / "packages.svg").read_text()
    rows: dict[int, list[str]] = {}
    for y, name in re.findall(r'class="package" x="\d+" y="(\d+)"[^>]*>(\w+)<', picture):
        rows.setdefault(int(y), []).append(name)
    assert [sorted(rows[y]) for y in sorted(rows)] == checked
    assert {name for row in checked for name in row} == {path.parent.name for path in SOURCE.glob("*/__init__.py")}

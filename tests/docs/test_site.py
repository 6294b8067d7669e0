"""The site builds without a warning and needs no other host."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
# What a browser fetches by itself: scripts, images, frames, stylesheets and icons, not links to follow.
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*?\ssrc=["']?(?P<src>[^"'\s>]+)"""
    r"""|<link\b(?=[^>]*rel=["']?(?:stylesheet|icon|preload|preconnect))[^>]*?\shref=["']?(?P<href>[^"'\s>]+)"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    plain = os.environ | {"NOTEBOOKS": "plain"}  # tests/notebooks executes them
    built = subprocess.run(command, cwd=ROOT, env=plain, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return out


def test_nothing_is_fetched_from_another_host(site: Path) -> None:
    found = [match for page in site.rglob("*.html") for match in FETCHED.finditer(page.read_text())]
    assert len(found) > 50
    places = {match["src"] or match["href"] for match in found}
    assert not {place for place in places if place.startswith(("http:", "https:", "//"))}
    styles = "\n".join(sheet.read_text() for sheet in site.rglob("*.css"))
    assert not re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^)\"']+", styles)


def test_every_file_that_a_page_refers_to_is_there(site: Path) -> None:
    for page in site.rglob("*.html"):
        if page.name == "404.html":  # it is served at any depth, with paths from the root
            continue
        for match in FETCHED.finditer(page.read_text()):
            place = (match["src"] or match["href"]).partition("?")[0]
            assert place.startswith("data:") or (page.parent / place).is_file(), (page, place)


def test_configuration_notebooks_and_python_reference_have_pages(site: Path) -> None:
    assert "optim.batch_size" in (site / "reference" / "configuration.html").read_text()
    assert len(list((site / "notebooks").glob("*.html"))) == len(list((ROOT / "notebooks").glob("*.ipynb")))
    assert 'id="mimbench.methods.MAE"' in (site / "reference" / "methods.html").read_text()
    assert 'id="mimbench.data.ImageDataModule"' in (site / "reference" / "data.html").read_text()
    assert "--every-checkpoint" in (site / "reference" / "commands.html").read_text()


def test_every_public_name_of_every_package_is_in_the_python_reference(site: Path) -> None:
    packages = sorted(path.parent.name for path in (ROOT / "src" / "mimbench").glob("*/__init__.py"))
    assert len(packages) == 18
    for package in packages:
        if package == "cli":
            continue
        page = (site / "reference" / f"{package}.html").read_text()
        folder = ROOT / "src" / "mimbench" / package
        # A package that exports nothing is used by its modules.
        modules = [path for path in folder.rglob("*.py") if path.stem != "__init__"]
        names = exported(folder / "__init__.py") or [name for path in modules for name in public(path)]
        assert [name for name in names if f'.{name}"' not in page] == [], package


def exported(path: Path) -> list[str]:
    """The names in `__all__`, or those imported as themselves."""
    text = path.read_text()
    listed = re.search(r"^__all__ = (\[.*?\])", text, flags=re.MULTILINE | re.DOTALL)
    return ast.literal_eval(listed[1]) if listed else re.findall(r" import (\w+) as \1$", text, flags=re.MULTILINE)


def public(path: Path) -> list[str]:
    """The functions and classes of a module without a leading underscore."""
    tree = ast.parse(path.read_text())
    nodes = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return [node.name for node in nodes if not node.name.startswith("_")]

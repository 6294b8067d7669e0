"""The site builds without a warning and needs no other host."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
# What a browser fetches by itself: scripts, pictures, frames, stylesheets and icons, not links to follow.
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*?\ssrc=["']?(?P<src>[^"'\s>]+)"""
    r"""|<link\b(?=[^>]*rel=["']?(?:stylesheet|icon|preload|preconnect))[^>]*?\shref=["']?(?P<href>[^"'\s>]+)"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
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
    assert "optim.batch_size" in (site / "configuration.html").read_text()
    assert len(list((site / "notebooks").glob("*.html"))) == len(list((ROOT / "notebooks").glob("*.ipynb")))
    assert 'id="mimbench.methods.MAE"' in (site / "api" / "methods.html").read_text()
    assert 'id="mimbench.data.ImageDataModule"' in (site / "api" / "data.html").read_text()

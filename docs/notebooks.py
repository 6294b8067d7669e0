"""The notebooks, executed when the site is built.

MkDocs calls `on_files`. A notebook is executed in an empty folder, and its copy with outputs is kept in
`build/notebooks` until the notebook or the package changes. With `NOTEBOOKS=plain` in the environment, notebooks are
shown as they are committed, without outputs.
"""

import hashlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "build" / "notebooks"
_SOURCES = ("src/mimbench", "conf")
_TIMEOUT = 1800  # seconds per cell


@event_priority(100)  # before mkdocs-jupyter, which looks for notebooks among the files
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the notebooks."""
    plain = os.environ.get("NOTEBOOKS") == "plain"
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        shown = path if plain else executed(path, KEPT)
        name = f"notebooks/{path.name}"
        files.append(File(name, str(shown.parents[1]), config.site_dir, config.use_directory_urls))
    return files


def executed(path: Path, kept: Path) -> Path:
    """A copy of a notebook with its outputs, from an earlier build if nothing has changed."""
    copy = kept / _digest(path) / "notebooks" / path.name
    if not copy.is_file():
        notebook = nbformat.read(path, as_version=4)
        with TemporaryDirectory(prefix="mimbench-") as folder:
            NotebookClient(notebook, timeout=_TIMEOUT, resources={"metadata": {"path": folder}}).execute()
        copy.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, copy)
    return copy


def _digest(path: Path) -> str:
    """Identifies a notebook and the code that it runs."""
    files = sorted(file for name in _SOURCES for file in (ROOT / name).rglob("*") if file.suffix in (".py", ".yaml"))
    digest = hashlib.sha256(path.read_bytes())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]

"""The notebooks run from top to bottom on embedded data, and are committed without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from scripts import load_script

import mimbench.methods

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
SHOWN = {  # by the first letter of the name
    "1": {"text/html", "text/markdown", "image/png"},  # the frame, the table, figures
    "2": {"image/png"},
    "3": {"text/markdown"},
    "4": {"text/markdown", "image/png"},
}


def test_there_are_four() -> None:
    assert [path.name[0] for path in NOTEBOOKS] == ["1", "2", "3", "4"]


@by_name
def test_is_committed_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


@by_name
def test_defines_nothing_but_the_method_of_the_third(path: Path) -> None:
    code = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    lines = [line for line in code.splitlines() if line.startswith(("def ", "class ", "async def "))]
    assert lines == (["class HalfWay(BranchedMethod):"] if path.stem.startswith("3") else [])


def test_the_third_names_methods_that_exist_to_read_next() -> None:
    text = next(path for path in NOTEBOOKS if path.name[0] == "3").read_text()
    for name in ("CrossMAE", "MFF", "SimMIM", "IJEPA"):
        assert f"`{name}`" in text
        assert hasattr(mimbench.methods, name)


def test_the_site_shows_outputs_and_keeps_them_until_the_notebook_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(place, str(tmp_path / place.lower()))
    hook = load_script(ROOT / "docs" / "notebooks.py")
    path = tmp_path / "a.ipynb"
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("import os, time\nprint(time.time(), os.getcwd())")]
    )
    nbformat.write(notebook, path)
    first = hook.executed(path, tmp_path / "kept")
    [cell] = nbformat.read(first, as_version=4).cells
    assert "mimbench-" in cell.outputs[0].text  # in a folder of its own
    before = first.read_text()
    assert hook.executed(path, tmp_path / "kept").read_text() == before
    notebook.cells[0].source += "\nprint(1)"
    nbformat.write(notebook, path)
    assert hook.executed(path, tmp_path / "kept").read_text() != before


@pytest.mark.slow
@by_name
def test_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(place, str(tmp_path / place.lower()))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = {kind for output in outputs for kind in output.get("data", {})}
    printed = "".join(output.get("text", "") for output in outputs if output.output_type == "stream")
    records = list(tmp_path.glob("runs/*/*/record.json"))
    assert records
    assert all('"status": "finished"' in record.read_text() for record in records)
    assert "mimbench run:" not in printed  # what a refused or failed run says
    assert shown >= SHOWN[path.name[0]]

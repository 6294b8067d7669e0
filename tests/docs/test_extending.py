"""The pages about parts of one's own: their code is written into a folder and used."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hydra.core.global_hydra import GlobalHydra

from mimbench.cli import main
from mimbench.experiments.plugins import VARIABLE
from mimbench.runs import frame

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extend" / "parts.md").read_text()
FILES = re.findall(r'```(?:python|yaml) title="([^"]+)"\n(.*?)```', PAGE, flags=re.DOTALL)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    for name, text in FILES:
        path = tmp_path / "my_lab" / name.removeprefix("my_lab/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    yield tmp_path / "my_lab"
    for path in (tmp_path / "my_lab").glob("*.py"):
        sys.modules.pop(path.stem, None)
    GlobalHydra.instance().clear()


def write_arrays(folder: Path) -> None:
    """Images whose left or right half is bright."""
    folder.mkdir()
    draws = np.random.default_rng(0)
    for name, count in (("train", 64), ("val", 16), ("test", 32)):
        images = draws.integers(0, 100, (count, 32, 32, 3), dtype=np.uint8)
        labels = np.arange(count) % 2
        images[labels == 0, :, :16] += 150
        images[labels == 1, :, 16:] += 150
        np.save(folder / f"{name}.npy", images)
        np.save(folder / f"{name}_labels.npy", labels)


def test_parts_of_every_kind_train_are_evaluated_and_analyzed_together(lab: Path, tmp_path: Path) -> None:
    write_arrays(tmp_path / "arrays")
    [block] = re.findall(r"```bash\n(mimbench run.*?)```", PAGE, flags=re.DOTALL)
    words = shlex.split(block.replace("\\\n", " ").replace("/path/to/folder", str(tmp_path / "arrays")))[1:]
    assert main([*words, "optim.batch_size=32", "budget.epochs=1", "sweep=own", "callbacks.knn=null"]) == 0
    table = frame("runs/own")
    assert set(table["protocol"]) == {"knn-v1", "mean-v1"}
    assert set(table["encoder"]) == {"registers"}
    assert table["value"].between(0, 1).all()
    [run] = Path("runs/own").glob("shallow-*")
    GlobalHydra.instance().clear()
    assert main(["analyze", str(run), "--config-dir", "my_lab/conf", "--only", "rank", "--images", "8"]) == 0


def test_every_kind_has_code_and_configuration() -> None:
    folders = {Path(name).parent.name for name, _ in FILES if name.endswith(".yaml")}
    assert folders == {"data", "target", "masker", "encoder", "method", "protocol"}
    assert len([name for name, _ in FILES if name.endswith(".py")]) == len(folders)


def test_the_guide_shows_the_method_of_the_template() -> None:
    page = (ROOT / "docs" / "extend" / "adding_a_method.md").read_text()
    [example] = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    template = (ROOT / "template" / "my_lab" / "methods.py").read_text()
    assert example.partition("def __init__")[2] == template.partition("def __init__")[2]
    assert [line for line in example.splitlines() if line.startswith(("import", "from"))] == [
        line for line in template.splitlines() if line.startswith(("import", "from"))
    ]

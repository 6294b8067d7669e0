"""What the README says works."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    quick = "max_steps=1, accelerator='cpu', logger=False, enable_checkpointing=False, limit_val_batches=1"
    assert "max_epochs=10" in example
    names: dict[str, object] = {}
    exec(example.replace("max_epochs=10", quick), names)
    assert names["tokens"][6].patches.shape == (8, 16, 96)


def test_linked_files_exist() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (Path(__file__).parents[1] / link).exists()] == []


def test_words_in_the_table_of_choices_are_options() -> None:
    conf = Path(__file__).parents[1] / "conf"
    rows = re.findall(r"^\| `(\w+)=(?:\[\.\.\.\])?` \| (.*) \|$", README, flags=re.MULTILINE)
    assert len(rows) >= 5
    for group, text in rows:
        if group not in ("optim", "logger"):
            named = {word for word in re.findall(r"`(\w+)`", text) if "=" not in word}
            assert named <= {path.stem for path in (conf / group).glob("*.yaml")}, group

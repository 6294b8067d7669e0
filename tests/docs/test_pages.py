"""Pages of the documentation, without building the site."""

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import hydra
import pytest
import torch
import yaml
from hydra.core.global_hydra import GlobalHydra
from scripts import load_script

import mimbench
from mimbench.cli import COMMANDS
from mimbench.encoders import vit
from mimbench.experiments.build import check_parts
from mimbench.experiments.config import config_directory, resolve
from mimbench.maskers import RandomMasker
from mimbench.methods import Method
from mimbench.targets import PixelTarget

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PACKAGE = Path(mimbench.__file__).parent
PAGES = sorted(DOCS.rglob("*.md"))
# Whose commands and examples are tried here; other pages belong to the tests of their topics.
GUIDES = ("start/quickstart.md", "extend/adding_a_method.md", "start/faq.md")


GENERATED = load_script(DOCS / "generated.py")
# Made with the site.
MADE = {f"reference/{name}.md" for name in ("configuration", "commands", *GENERATED.packages())}
MADE |= {"use/sample_report.md"}


def nav(entries: list[object]) -> Iterator[str]:
    """All pages of a navigation, in order."""
    for entry in entries:
        (value,) = entry.values() if isinstance(entry, dict) else (entry,)
        if isinstance(value, list):
            yield from nav(value)
        else:
            yield str(value)


def settings() -> dict[str, object]:
    # MkDocs knows tags that plain YAML does not.
    return yaml.load((ROOT / "mkdocs.yml").read_text(), Loader=yaml.SafeLoader)


def test_navigation_has_every_page_and_notebook_once() -> None:
    entries = settings()["nav"]
    assert isinstance(entries, list)
    notebooks = [f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")]
    there = {path.relative_to(DOCS).as_posix() for path in PAGES} | MADE | set(notebooks)
    listed = list(nav(entries))
    assert sorted(listed) == sorted(there), "Add the page to nav in mkdocs.yml, or take it out."


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_links_and_images_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    for link in links:
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        relative = target.relative_to(DOCS).as_posix()  # a link that leaves docs/ is broken on the site
        if relative.startswith("notebooks/"):
            target = ROOT / relative
        assert relative in MADE or target.is_file(), link
        if anchor and relative not in MADE:
            assert anchor in {_slug(line) for line in target.read_text().splitlines() if line.startswith("#")}, link


def _slug(heading: str) -> str:
    text = re.sub(r"[^\w\s-]", "", heading.lstrip("#").strip().lower())
    return re.sub(r"[\s-]+", "-", text)


def commands() -> list[str]:
    """The lines that call `mimbench run` or `mimbench plan` without parts of the reader's own."""
    text = "\n".join((DOCS / page).read_text() for page in GUIDES)
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    called = [line for line in lines if line.startswith(("mimbench run", "mimbench plan"))]
    return [line for line in called if "--config-dir" not in line]


@pytest.mark.parametrize("line", commands())
def test_commands_compose_and_what_they_name_can_be_built(line: str) -> None:
    words = [word for word in shlex.split(line, comments=True)[2:] if word != "-m"]
    first = [word if "[" in word else word.split(",")[0] for word in words]  # of a sweep
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        config = resolve(hydra.compose("run", first))
    assert check_parts(config)[1] is None


def python_of(page: str) -> str:
    (example,) = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), flags=re.DOTALL)
    return example


def imports() -> list[tuple[str, str]]:
    """Module and name of every import of mimbench in pages, README and notebooks."""
    texts = [path.read_text() for path in (*PAGES, ROOT / "README.md", *(ROOT / "notebooks").glob("*.ipynb"))]
    lines = [found for text in texts for found in re.findall(r"from (mimbench[\w.]*) import ([\w, ]+)", text)]
    return sorted({(module, name.split()[0]) for module, names in lines for name in names.split(",")})


@pytest.mark.parametrize(("module", "name"), imports(), ids=[".".join(pair) for pair in imports()])
def test_imports_of_pages_and_notebooks_exist(module: str, name: str) -> None:
    found = importlib.import_module(module)
    assert hasattr(found, name) or importlib.util.find_spec(f"{module}.{name}") is not None


def test_example_of_the_quick_start_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(python_of("start/quickstart.md"), {})
    assert "'knn-v1': {'accuracy': 0." in capsys.readouterr().out


def test_the_guide_names_members_of_method() -> None:
    page = (DOCS / "extend" / "adding_a_method.md").read_text()
    rows = re.findall(r"^\| `(?:self\.)?(\w+)(?:\([\w, ]*\))?` \|", page, flags=re.MULTILINE)
    assert len(rows) == 5
    assert set(rows) <= {*Method.__annotations__, *vars(Method)}


def test_method_of_the_guide_trains() -> None:
    names: dict[str, type] = {}
    exec(python_of("extend/adding_a_method.md"), names)
    encoder = vit(image_size=32, patch_size=8, width=16, depth=4, num_heads=2)
    method = names["HalfWay"](encoder, RandomMasker(), PixelTarget, dim=16, num_blocks=1, num_heads=2)
    output = method(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    output.loss.backward()
    assert set(output.terms) == {"depth2", "depth4"}
    assert all(parameter.grad is not None for parameter in method.parameters() if parameter.requires_grad)


def test_configuration_reference_has_every_key_of_every_file() -> None:
    lines = {line.strip() for line in GENERATED.reference(config_directory()).splitlines()}
    files = list(config_directory().rglob("*.yaml"))
    assert len(files) > 50
    for path in files:
        assert {line.strip() for line in path.read_text().splitlines()} - {""} <= lines, path


def test_python_reference_has_every_package_and_every_public_name() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(GENERATED.packages()) == folders - {"cli"}
    overview = (DOCS / "reference" / "index.md").read_text()
    for package in GENERATED.packages():
        assert f"({package}.md)" in overview
        page = GENERATED.api(package)
        names = getattr(importlib.import_module(f"mimbench.{package}"), "__all__", ())
        assert names or "::: mimbench." in page
        (members, *_) = re.findall(r"members: \[(.*?)\]", page) or [""]
        shown = {*members.split(", "), *re.findall(r"^::: mimbench\.\w+\.\w+\.(\w+)$", page, flags=re.MULTILINE)}
        assert set(names) <= shown, package


def test_command_reference_has_every_command_and_every_option() -> None:
    page = GENERATED.commands()
    assert {line.split()[-1] for line in page.splitlines() if line.startswith("## mimbench ")} == set(COMMANDS)
    for option in ("--shard-mb", "--every-checkpoint", "--use-stored-setup", "--released-quirks", "--no-figures"):
        assert option in page


def test_configuration_reference_titles_a_choice_by_its_first_sentence(tmp_path: Path) -> None:
    (tmp_path / "optim").mkdir()
    (tmp_path / "run.yaml").write_text("seed: 0 # of all draws\n")
    text = '# @package optim\n# Goes "down", slowly\n# and surely. More words.\n#   mimbench run optim=sgd\nlr: 0.1\n'
    (tmp_path / "optim" / "sgd.yaml").write_text(text)
    page = GENERATED.reference(tmp_path)
    assert "## mimbench run\n\n```yaml\nseed: 0 # of all draws\n```" in page
    assert "## optim\n\n??? abstract \"`optim=sgd` Goes 'down', slowly and surely.\"\n\n    ```yaml" in page
    assert "    lr: 0.1\n    ```" in page

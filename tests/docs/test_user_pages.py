"""What a new user looks for is where the navigation says, and says the same everywhere."""

import re
from pathlib import Path

import yaml

from mimbench.core.extras import EXTRAS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_the_first_page_shows_a_figure_a_command_and_what_to_read_first() -> None:
    page = (DOCS / "index.md").read_text()
    head = page.partition("| I want to")[0]
    assert re.search(r"!\[[^\]]+\]\(figures/\w+\.png\)", head)
    assert "mimbench run -m" in head
    first = head.partition("First page to read")[2]
    assert all(link in first for link in ("start/why.md", "start/quickstart.md", "start/concepts.md"))


def test_the_comparison_names_strengths_of_all_five_limits_and_a_date() -> None:
    page = (DOCS / "start" / "why.md").read_text()
    rows = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("| [")]
    names = [re.findall(r"\[([\w-]+)\]", row[0])[0] for row in rows]
    assert names == ["stable-pretraining", "solo-learn", "lightly", "mmpretrain", "timm"]
    assert all(len(row) == 4 and len(row[3].strip()) > 20 for row in rows)
    assert "What it does not have" in page
    assert re.search(r"as of \w+ 20\d\d", page)


def test_readme_and_docs_cite_as_the_citation_file_does() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    entries = [
        re.findall(r"```bibtex\n(.*?)```", path.read_text(), flags=re.DOTALL)
        for path in (ROOT / "README.md", DOCS / "about" / "citing.md")
    ]
    assert entries[0] == entries[1]
    [entry] = entries[0]
    assert f"{{{citation['title']}}}" in entry
    assert citation["authors"][0]["name"] in entry
    assert citation["license"] in entry


def test_the_installation_page_has_every_extra_and_target() -> None:
    page = (DOCS / "start" / "install.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    listed = set(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE))
    assert listed == set(EXTRAS)
    for target in re.findall(r"^make ([a-z-]+)", page, flags=re.MULTILINE):
        assert f"\n{target}:" in makefile
    for service in re.findall(r"docker compose run --rm (\w+)", page):
        assert service in yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]


def test_pages_are_linked_to_their_neighbors() -> None:
    assert "navigation.footer" in (ROOT / "mkdocs.yml").read_text()

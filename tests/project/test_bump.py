"""One command changes the version everywhere; a refused one changes nothing."""

import datetime
import shutil
from pathlib import Path

import pytest
import yaml
from scripts import load_script

import mimbench

ROOT = Path(__file__).parents[2]
TODAY = datetime.date(2030, 1, 2)


BUMP = load_script(ROOT / "tools" / "bump.py")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in (BUMP.CODE, BUMP.CITATION, BUMP.CHANGELOG):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    changelog = tmp_path / BUMP.CHANGELOG
    before, _, after = changelog.read_text().partition("## [Unreleased]\n")
    changelog.write_text(f"{before}## [Unreleased]\n\n- Something new.\n{after}")
    return tmp_path


def contents(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_all_files_have_one_version() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == mimbench.__version__
    assert f"## [{mimbench.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_a_new_version_is_written_everywhere(copy: Path) -> None:
    BUMP.bump(copy, "9.8.7", TODAY)
    assert '__version__ = "9.8.7"' in (copy / BUMP.CODE).read_text()
    assert yaml.safe_load((copy / BUMP.CITATION).read_text())["version"] == "9.8.7"
    changelog = (copy / BUMP.CHANGELOG).read_text()
    assert "## [Unreleased]\n\n## [9.8.7] - 2030-01-02\n\n- Something new." in changelog
    assert len(contents(copy)) == 3
    with pytest.raises(ValueError, match="nothing under Unreleased"):
        BUMP.bump(copy, "9.8.8", TODAY)


@pytest.mark.parametrize("version", ["", "1", "1.2", "v1.2.3", "1.2.3rc1", "01.2.3", "0.0.1", mimbench.__version__])
def test_a_refused_version_changes_nothing(copy: Path, version: str) -> None:
    before = contents(copy)
    with pytest.raises(ValueError, match=r"is no version|is not newer"):
        BUMP.bump(copy, version, TODAY)
    assert contents(copy) == before


def test_files_that_disagree_are_refused(copy: Path) -> None:
    (copy / BUMP.CITATION).write_text("version: 0.0.9\n")
    with pytest.raises(ValueError, match="another version"):
        BUMP.bump(copy, "9.8.7", TODAY)


def test_the_command_answers_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert BUMP.main([]) == 2
    assert BUMP.main(["nonsense"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 2

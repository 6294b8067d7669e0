"""`mimbench list`."""

from pathlib import Path

import pytest

from mimbench.cli import main
from mimbench.experiments.composition.options import GROUPS, describe_option
from mimbench.experiments.config import config_directory, option_names


@pytest.mark.parametrize("kind", ["methods", "encoders", "data", "protocols", "experiments", "ablations"])
def test_every_option_has_one_line_that_describes_it(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", kind]) == 0
    rows = capsys.readouterr().out.partition("\n\n")[0].splitlines()
    assert [row.split()[0] for row in rows] == option_names(kind if kind == "data" else kind.removesuffix("s"))
    assert all(len(row.split()) > 3 for row in rows), rows


def test_all_kinds_are_listed_and_an_unknown_one_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert {"methods", "encoders", "maskers", "launchers"} <= {
        line.split()[0] for line in capsys.readouterr().out.splitlines() if line
    }
    assert main(["list", "encodrs"]) == 2
    assert "Did you mean encoders" in capsys.readouterr().err


def test_every_group_is_described() -> None:
    own = {path.name for path in config_directory().iterdir() if path.is_dir()} - {"hydra"}
    assert own <= GROUPS.keys()


def test_parts_of_plugins_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "conf" / "method").mkdir(parents=True)
    (tmp_path / "conf" / "method" / "half_way.yaml").write_text("# Stops half way. Not published.\nname: half_way\n")
    assert main(["list", "methods", "--config-dir", str(tmp_path / "conf")]) == 0
    assert "half_way   Stops half way.\n" in capsys.readouterr().out


def test_the_comment_of_every_option_is_a_sentence() -> None:
    for path in config_directory().glob("*/*.yaml"):
        assert describe_option(path), path


def test_help_of_run_describes_every_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "method=mirl", "--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"{group}: {about}\n" in text for group, about in GROUPS.items())
    assert "  num_blocks: ${decoder:num_blocks,2}\n" in text

"""The W&B workspace and report, both built from one list of panels."""

import json
from typing import Any

import pytest

from mimbench.cli.dashboard import main
from mimbench.trackers.wandb_panels import SECTIONS, names, prefixes


def titles(tree: Any) -> set[str]:
    """The titles of all plots in a specification."""
    if isinstance(tree, list):
        return set().union(*map(titles, tree))
    if not isinstance(tree, dict):
        return set()
    own = {tree["chartTitle"]} if "chartTitle" in tree else set()
    return own.union(*map(titles, tree.values()))


PANELS = {panel.title for section in SECTIONS for panel in section.panels}


def test_a_second_call_updates_the_workspace_and_the_report_of_the_first(
    server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert main(["team/mimbench"]) == 0
    kinds = {view["type"]: view for view in server.views.values()}
    assert set(kinds) == {"project-view", "runs"}
    assert len(server.views) == 2
    assert titles(kinds["project-view"]["spec"]) == titles(kinds["runs"]["spec"]) == PANELS
    assert capsys.readouterr().out.count("http") == 4
    assert not server.unknown


def test_printing_needs_neither_key_nor_server(
    no_key: None, server: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert main(["team/mimbench", "--print"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert titles(printed["workspace"]) == titles(printed["report"]) == PANELS
    assert main(["team/mimbench", "--panels"]) == 0
    listed = json.loads(capsys.readouterr().out)
    metrics = {name for section in listed for panel in section["panels"] for name in panel["metrics"]}
    assert metrics <= set(names())
    assert sorted({p for section in listed for panel in section["panels"] for p in panel["prefixes"]}) == prefixes()


def test_errors_are_one_line(no_key: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mimbench"]) == 2
    assert "ENTITY/PROJECT" in capsys.readouterr().err
    assert main(["team/mimbench"]) == 2
    assert "no API key" in capsys.readouterr().err

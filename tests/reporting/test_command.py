"""The command `mimbench report`."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mimbench.cli.report import main

MakeRun = Callable[..., Path]


def test_it_prints_the_table_and_the_path_of_the_report(make_run: MakeRun, capsys: pytest.CaptureFixture[str]):
    make_run("untrained", knn=0.2)
    directory = make_run("mae", knn=0.4)
    make_run("mirl", status="failed", error={"type": "ValueError", "message": "boom"})
    assert main([str(directory.parent), "--no-figures"]) == 0
    printed = capsys.readouterr()
    assert "+20.0 ▲" in printed.out
    assert "failed 1: ValueError: boom" in printed.out
    assert printed.out.rstrip().endswith(str(directory.parent / "report" / "report.html"))
    assert printed.err == ""
    assert not (directory.parent / "report" / "figures").exists()


def test_out_says_where(make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    directory = make_run("mae")
    assert main([str(directory.parent), "--out", str(tmp_path / "elsewhere"), "--no-figures"]) == 0
    assert (tmp_path / "elsewhere" / "report.html").exists()
    assert not (directory.parent / "report").exists()


@pytest.mark.parametrize("name", ["absent", "empty", "file"])
def test_a_directory_without_runs_is_one_short_message_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    assert main([str(tmp_path / name)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("mimbench report: ")
    assert "Give the directory of a sweep" in printed.err
    assert "Traceback" not in printed.err
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "empty" / "report").exists()


def test_a_folder_that_cannot_be_written_is_status_2(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "taken").write_text("")
    assert main([str(make_run("mae").parent), "--out", str(tmp_path / "taken"), "--no-figures"]) == 2
    shown = capsys.readouterr()
    assert "--out" in shown.err
    assert "mae" in shown.out.lower()


def test_the_report_is_written_before_the_table_whose_reader_may_close_the_pipe(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("mimbench.reporting.render.terminal.show", closed)
    with pytest.raises(BrokenPipeError):
        main([str(make_run("mae").parent), "--out", str(tmp_path / "out"), "--archive", str(tmp_path / "all.jsonl")])
    assert (tmp_path / "out" / "report.html").is_file()
    assert (tmp_path / "all.jsonl").is_file()


def test_columns_of_the_latex_table_are_chosen_in_the_file_and_on_the_page(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = str(make_run("mae").parent)
    assert main([sweep, "--out", str(tmp_path / "out"), "--no-figures", "--latex-columns", "linear,minutes"]) == 0
    assert "method & linear & minutes" in (tmp_path / "out" / "table.tex").read_text()
    assert "method & linear & minutes" in (tmp_path / "out" / "report.html").read_text()
    assert main([sweep, "--out", str(tmp_path / "other"), "--latex-columns", "lineal"]) == 2
    assert "There is no column 'lineal'. Did you mean linear" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_help_imports_no_large_package():
    code = "import sys; from mimbench.cli.report import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "sys.exit(len({'pandas', 'matplotlib', 'scipy', 'torch', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "--no-figures" in done.stdout


def test_a_narrow_ascii_terminal_shows_complete_numbers(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch):
    for seed in range(3):
        directory = make_run("mae", seed, knn=0.4 + 0.01 * seed)
    written = io.BytesIO()
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii", write_through=True))
    assert main([str(directory.parent), "--no-figures"]) == 0
    assert b"41.0 ? 1.0 (n=3)" in written.getvalue()

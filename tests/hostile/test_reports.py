"""Names and messages in a report are text: no HTML, links, formulas or terminal codes, and no host or folder."""

import csv
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mimbench.cli import main
from mimbench.reporting.redaction import redact

NAMES = {
    "HTML": "<img src=x onerror=alert(1)>",
    "a link": "[click](javascript:alert(1))",
    "an image": "![x](http://example.com/x.png)",
    "a formula": "=HYPERLINK(1)",
    "another formula": "@SUM(1)",
    "a sum": "+1",
    "a difference": "-1+1",
    "a table": "a | b\n| c",
    "LaTeX": "\\input{/etc/passwd} $x$ %",
    "a template": "{{ 7*7 }}{% raw %}",
    "a script's end": "</script><script>alert(1)</script>",
    "rich markup": "[bold red]x[/bold red][/]",
    "a terminal code": "\x1b]0;owned\x07\x1b[31mred",
    "a right-to-left mark": "\u202etxt.exe",
}


def rename(run: Path, **values: Any) -> None:
    record = json.loads((run / "record.json").read_text())
    for key, value in values.items():
        record[key] = record[key] | value if isinstance(value, dict) and isinstance(record[key], dict) else value
    (run / "record.json").write_text(json.dumps(record))


class Elements(HTMLParser):
    """Counts scripts and images, and collects links and handlers of events."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts, self.suspicious = 0, []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        for name, value in attrs:
            if name.startswith("on") or (value or "").strip().lower().startswith("javascript:"):
                self.suspicious.append((tag, name, value))


@pytest.mark.parametrize("name", NAMES)
def test_names_are_text_in_every_form_of_the_report(
    sweep: Path, victim: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = NAMES[name]
    clean = Elements()
    assert main(["report", str(sweep), "--no-figures"]) == 0
    clean.feed((sweep / "report" / "report.html").read_text())
    capsys.readouterr()
    rename(victim, name=text, sweep=text, axes={"method": text, "data": text})
    for run in sorted(path for path in sweep.iterdir() if (path / "record.json").is_file()):
        if run != victim:
            rename(run, status="failed", error={"type": "Error", "message": text}, axes={"data": text})
    assert main(["report", str(sweep), "--no-figures"]) == 0
    assert main(["status", str(sweep)]) == 0
    shown = capsys.readouterr()
    assert "\x1b]" not in shown.out + shown.err
    assert "\u202e" not in shown.out
    report = sweep / "report"
    page = Elements()
    page.feed((report / "report.html").read_text())
    assert page.scripts == clean.scripts
    assert not page.suspicious
    markdown = (report / "report.md").read_text()
    assert "<img" not in markdown
    assert "<script" not in markdown
    assert "](javascript:" not in markdown
    assert "](http://example.com" not in markdown
    with (report / "table.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            assert not [value for value in row.values() if value.startswith(("=", "+", "@"))]
            assert not row["method"].startswith("-")
    assert "\\input{" not in (report / "table.tex").read_text()


def test_hosts_and_folders_are_in_reports_only_on_request(sweep: Path, victim: Path) -> None:
    error = {"type": "OSError", "message": "No space left: /home/alice/secret-project/data.bin at 5 images/s"}
    rename(victim, status="failed", error=error, environment={"host": "alices-laptop"})
    for run in sweep.iterdir():
        if (run / "record.json").is_file():
            rename(run, environment={"host": "alices-laptop"})
    for option, expected in (([], False), (["--with-environment"], True)):
        assert main(["report", str(sweep), "--no-figures", *option]) == 0
        for name in ("report.html", "report.md", "table.csv", "table.md"):
            text = (sweep / "report" / name).read_text()
            for secret in ("alice/", "secret-project"):
                assert (secret in text) == expected, (name, secret)
            if name.startswith("report"):
                assert ("alices-laptop" in text) == expected
        assert "data.bin" in (sweep / "report" / "report.md").read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/alice/x/data.bin: no", "…/data.bin: no"),
        ("see '/scratch/u1/run/log.txt'.", "see '…/log.txt'."),
        ("5 images/s, 1/2, and/or", "5 images/s, 1/2, and/or"),
        ("runs/demo/x", "runs/demo/x"),
        ("https://example.com/a/b", "https://example.com/a/b"),
    ],
)
def test_absolute_paths_lose_their_folders(text: str, expected: str) -> None:
    assert redact(text) == expected

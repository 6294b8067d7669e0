"""Sample reports: the archives in `docs/results`, reported when the site is built.

MkDocs calls `on_files` and `on_page_markdown`. An archive is what `mimbench report DIR --archive FILE` writes.
"""

import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

RESULTS = Path(__file__).parent / "results"
PAGE = "use/sample_report.md"
FIRST = "demo"  # the archive of the site's first page
_IMAGE = re.compile(r"!\[[^\]]*\]\(figures/[^)]+\)")
_SHOWN = ("report.html", "table.md", "table.csv", "table.tex", "figures/accuracy.svg", "figures/flops.svg")
_CAPTION = "Accuracy of the methods in each setting, with 95 % intervals; dashed: the untrained encoder"
_NONE = """# A sample report

`docs/results` holds no archive of results. `mimbench report DIR --archive docs/results/demo.jsonl` writes one, and the
next build of the site shows its report here.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the page of samples, and the files of each report."""
    for path in archives():
        for name, content in written(path, path.stat().st_mtime_ns).items():
            if not name.endswith(".md"):  # it is part of the page
                files.append(File.generated(config, f"results/{path.stem}/{name}", content=content))
    files.append(File.generated(config, PAGE, content=page()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The first page with the figure of the first sample in place of its own, which is there without a sample."""
    found = [path.stem for path in archives()]
    figure = f"results/{found[0]}/figures/accuracy.svg" if found else ""
    if page.file.src_uri != "index.md" or files.get_file_from_path(figure) is None:
        return markdown
    link = "[A sample report](use/sample_report.md) has the numbers, the costs and the other figures."
    return _IMAGE.sub(lambda _: f"![{_CAPTION}]({figure})\n\n{link}", markdown, count=1)


def archives() -> list[Path]:
    """All archives, the one of the first page first."""
    return sorted(RESULTS.glob("*.jsonl"), key=lambda path: (path.stem != FIRST, path.stem))


@cache
def written(path: Path, changed: int) -> dict[str, bytes]:
    """The files of the report of an archive by relative name; `changed` is when the archive was written."""
    from mimbench.reporting import archive, report
    from mimbench.reporting.summary import summarize

    with archive.opened(path) as sweep, TemporaryDirectory() as folder:
        out = Path(folder)
        report.write(sweep, summarize(sweep), out)
        return {name: (out / name).read_bytes() for name in _SHOWN if (out / name).is_file()}


def page() -> str:
    """The page in Markdown: per archive its table, its first figures and a link to the report."""
    parts = [_sample(path) for path in archives()]
    return "\n".join(["# A sample report\n", *parts]) if parts else _NONE


def _sample(path: Path) -> str:
    files, folder = written(path, path.stat().st_mtime_ns), f"../results/{path.stem}"
    figures = [name for name in files if name.endswith(".svg")]
    shown = {"figures/accuracy.svg": _CAPTION, "figures/flops.svg": "Accuracy against the FLOPs of pre-training"}
    parts = [
        f"## {path.stem}",
        f"`mimbench report {path.name}` writes **[this page]({folder}/report.html)**, which opens without a network, "
        f"and the tables below, also as [CSV]({folder}/table.csv) and [LaTeX]({folder}/table.tex). The archive is "
        f"[{path.name}](../results/{path.name}); [Reading the report](report.md) explains every part.",
        *(f"![{shown[name]}]({folder}/{name})" for name in figures),
        files["table.md"].decode() if "table.md" in files else "",
    ]
    return "\n\n".join(parts) + "\n"

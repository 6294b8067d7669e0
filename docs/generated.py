"""Pages that exist only in the built site: the configuration reference from conf/, and the notebooks.

MkDocs calls `on_files`. `python docs/generated.py` prints the reference.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
_INTRODUCTION = """# Configuration

Made from `conf/` when the site is built. A file of a group is chosen with `group=file`, a key is changed with
`group.key=value`, and `mimbench run --help` lists the same. A comment behind a key says what it means.
"""


@event_priority(100)  # before mkdocs-jupyter, which looks for notebooks among the files
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages."""
    files.append(File.generated(config, "configuration.md", content=reference(CONF)))
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        name = path.relative_to(ROOT).as_posix()
        files.append(File(name, str(ROOT), config.site_dir, config.use_directory_urls))
    return files


def reference(conf: Path) -> str:
    """The configuration reference as Markdown: entry points first, then a section per group."""
    parts = [_INTRODUCTION, *(_entry(path) for path in sorted(conf.glob("*.yaml"), reverse=True))]
    below = sorted(path for path in conf.rglob("*.yaml") if path.parent != conf)
    for folder, paths in groupby(below, key=lambda path: path.parent):
        parts.append(f"## {folder.relative_to(conf).as_posix()}\n")
        parts += [_choice(path, conf) for path in paths]
    return "\n".join(parts)


def _entry(path: Path) -> str:
    return f"## mimbench {path.stem}\n\n{_block(path)}\n"


def _choice(path: Path, conf: Path) -> str:
    """A box to unfold, titled by the choice and the first sentence of the file's comment."""
    group = path.parent.relative_to(conf).as_posix()
    title = f"`{group}={path.stem}` {_about(path)}".replace('"', "'").strip()
    return f'??? abstract "{title}"\n\n' + "".join(f"    {line}\n" for line in _block(path).splitlines())


def _block(path: Path) -> str:
    return f"```yaml\n{path.read_text(encoding='utf-8').rstrip()}\n```"


def _about(path: Path) -> str:
    text = " ".join(_comment(path))
    sentence = re.match(r".*?\.(?= |$)", text)
    return (sentence.group() if sentence else text).rstrip(":").replace("<", "&lt;")


def _comment(path: Path) -> Iterator[str]:
    """The lines of the comment on top, without Hydra's directive and from the first command on."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# @package"):
            continue
        if not line.startswith("# ") or line.startswith("#  "):
            return
        yield line[2:].strip()


if __name__ == "__main__":
    print(reference(CONF))

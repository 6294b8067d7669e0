"""Pages that exist only in the built site: configuration, commands and Python reference.

MkDocs calls `on_files`. `python docs/generated.py` prints the configuration reference.
"""

import ast
import os
import subprocess
import sys
from itertools import groupby
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
PACKAGE = ROOT / "src" / "mimbench"
_CONFIGURATION = """# Configuration

Generated from `conf/` when the site is built. `group=file` selects a file of a group, `group.key=value` sets a key;
`mimbench run --help` prints the same list. The comment behind a key explains it.
"""
_COMMANDS = """# Commands

Generated from the `--help` of every command when the site is built. Exit status: 0 for success, 1 for a failure, 2 for
an invalid call, 130 after an interruption.
"""
_SUBCOMMANDS = {"data": ("pack", "check"), "weights": ("inspect", "import", "export")}
# Modules that a package does not import when it is imported, for the sake of start-up time.
_FURTHER = {"analysis": ("figures",), "core": ("dotted", "errors", "files")}
_SEE = {
    "analysis": "See [Analysis and robustness](../use/analysis.md).",
    "benchmarking": "See [Benchmarks](../about/benchmarks.md).",
    "data": "See [Data](../use/data.md).",
    "evaluation": "The docstring of a protocol is its card. See [Protocols](../use/protocols.md).",
    "experiments": "See [Architecture](../about/architecture.md).",
    "methods": "See [Adding a method](../extend/adding_a_method.md).",
    "reporting": "See [Reading the report](../use/report.md).",
    "trackers": "See [Weights & Biases and TensorBoard](../use/wandb.md).",
    "training": "See [Stopping and resuming](../use/resuming.md).",
    "weights": "See [Weights](../use/weights.md).",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages."""
    pages = {"configuration": reference(CONF), "commands": commands()}
    pages |= {package: api(package) for package in packages()}
    for name, content in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=content))
    return files


def packages() -> list[str]:
    """The packages of mimbench that have a page; the commands have another one."""
    return sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py") if path.parent.name != "cli")


def api(package: str) -> str:
    """The reference of a package in mkdocstrings' Markdown: its exported names, or else all of its modules."""
    folder = PACKAGE / package
    names = exports(folder / "__init__.py")
    parts = [f"# mimbench.{package}\n", _docstring(folder / "__init__.py") + "\n", _SEE.get(package, "") + "\n"]
    if names:
        # A function may have the name of its module (`encoders.vit`); mkdocstrings would show the module.
        hidden = [name for name in names if (folder / f"{name}.py").is_file()]
        members = ", ".join(name for name in names if name not in hidden)
        parts.append(
            f"::: mimbench.{package}\n    options: {{members: [{members}], show_docstring_description: false}}\n"
        )
        parts += [
            f"::: mimbench.{package}.{name}.{name}\n    options: {{show_root_heading: true}}\n" for name in hidden
        ]
        modules = [folder / f"{module}.py" for module in _FURTHER.get(package, ())]
    else:
        modules = sorted(path for path in folder.rglob("*.py") if path.name != "__init__.py")
    for path in modules:
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        options = "{heading_level: 3, show_if_no_docstring: true}"
        parts.append(f"## {module.removeprefix(f'mimbench.{package}.')}\n\n::: {module}\n    options: {options}\n")
    return "\n".join(parts)


def exports(path: Path) -> list[str]:
    """The names in `__all__`, or those imported as themselves (`from m import Name as Name`), in order."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    names = [alias for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    return [alias.name for alias in names if alias.asname == alias.name]


def commands() -> str:
    """The reference of the commands as Markdown, one section per command."""
    from mimbench.cli import COMMANDS

    parts = [_COMMANDS]
    for name, summary in COMMANDS.items():
        calls = [(name,), *((name, word) for word in _SUBCOMMANDS.get(name, ()))]
        parts.append(f"## mimbench {name}\n\n{summary[0].upper()}{summary[1:]}.\n")
        parts += [f"```text\n{_help(call)}\n```\n" for call in calls]
    parts.append("## In Python\n\n::: mimbench.cli\n    options: {heading_level: 3, members: [main]}\n")
    return "\n".join(parts)


def _help(call: tuple[str, ...]) -> str:
    command = [sys.executable, "-m", "mimbench", *call, "--help"]
    environment = os.environ | {"COLUMNS": "100"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.partition("== Config ==")[0].strip()  # what follows is on the page of the configuration


def reference(conf: Path) -> str:
    """The configuration reference as Markdown: entry points first, then a section per group."""
    parts = [_CONFIGURATION, *(_entry(path) for path in sorted(conf.glob("*.yaml"), reverse=True))]
    below = sorted(path for path in conf.rglob("*.yaml") if path.parent != conf)
    for folder, paths in groupby(below, key=lambda path: path.parent):
        parts.append(f"## {folder.relative_to(conf).as_posix()}\n")
        parts += [_choice(path, conf) for path in paths]
    return "\n".join(parts)


def _entry(path: Path) -> str:
    return f"## mimbench {path.stem}\n\n{_block(path)}\n"


def _choice(path: Path, conf: Path) -> str:
    """A collapsed box, titled by the choice and the first sentence of the file's comment."""
    from mimbench.experiments.composition.options import describe_option

    group = path.parent.relative_to(conf).as_posix()
    title = f"`{group}={path.stem}` {describe_option(path)}".replace('"', "'").replace("<", "&lt;").strip()
    return f'??? abstract "{title}"\n\n' + "".join(f"    {line}\n" for line in _block(path).splitlines())


def _block(path: Path) -> str:
    return f"```yaml\n{path.read_text(encoding='utf-8').rstrip()}\n```"


def _docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


if __name__ == "__main__":
    print(reference(CONF))

"""`mimbench new-project`: creates a repository for methods and data of your own."""

import argparse
import keyword
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import mimbench
from mimbench.core.errors import UserError

_NAME = "my_lab"  # the package in `template/`; replaced by the name of the new package


def main(argv: list[str]) -> int:
    """Writes the template into a new or empty folder; exit status 2 for any other folder."""
    arguments = _parser().parse_args(argv)
    directory: Path = arguments.directory
    try:
        name = package_name(directory.absolute().name)
        create(directory, name)
    except UserError as error:
        print(f"mimbench new-project: {error}", file=sys.stderr)
        return 2
    print(
        f"{directory} contains a method, a dataset, their configuration and a test. Next, in the environment of "
        "mimbench:\n"
        f"  cd {directory}\n"
        "  pip install --no-deps --editable .\n"
        "  python -m pytest\n"
        "  mimbench run -m experiment=first method=untrained,mae,half_way\n"
        "  mimbench report runs/first\n"
        f"Without the installation, add --config-dir {name}/conf to every mimbench command."
    )
    return 0


def create(directory: Path, name: str) -> None:
    """Copies the template, with `name` as the name of its package.

    Raises:
        UserError: The directory exists and is not empty.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UserError(f"{directory} exists and is not empty; choose a new folder.")
    template = _template()
    for source in sorted(path for path in template.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        relative = source.relative_to(template).as_posix().replace(_NAME, name)
        target = directory / (".gitignore" if relative == "gitignore" else relative)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.read_text(encoding="utf-8").replace(_NAME, name), encoding="utf-8")


def package_name(folder: str) -> str:
    """The name of the package in a repository called `folder`; `my-lab` contains `my_lab`.

    Raises:
        UserError: The name is not a valid package name, or a package of this name exists.
    """
    name = re.sub(r"[^a-z0-9]+", "_", folder.lower()).strip("_")
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UserError(
            f"{folder!r} cannot be made a package name; expected letters and digits, starting with a letter."
        )
    if name in ("tests", "conf") or find_spec(name) is not None:
        raise UserError(f"A package {name} exists already; choose another name for the folder.")
    return name


def _template() -> Path:
    """The folder `template/`: in the installed package, or at the top of a checkout."""
    package = Path(mimbench.__file__).parent
    shipped = package / "template"
    return shipped if shipped.is_dir() else package.parents[1] / "template"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mimbench new-project",
        description="Creates a repository with one method, one dataset, their configuration files and a test.",
        epilog="docs/extend/own_repository.md explains its contents.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "directory", metavar="DIR", type=Path, help="a new folder, which also gives the package its name"
    )
    return parser

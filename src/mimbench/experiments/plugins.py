"""Plugins: config groups and modules from outside mimbench.

A plugin is an installed package with an entry point in the group `mimbench.plugins`, or a folder given by
`--config-dir` or `MIMBENCH_CONF`. `docs/extend/own_repository.md` describes both.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from mimbench.core.errors import UserError

GROUP = "mimbench.plugins"
VARIABLE = "MIMBENCH_CONF"
_OPTIONS = ("--config-dir", "-cd")
_MISSING = object()


@dataclass(frozen=True)
class Plugin:
    """Config groups and modules of one package or folder.

    Attributes:
        name: The entry point, or the folder as a path.
        conf: Folder of config groups: `conf/method/NAME.yaml`.
        root: Folder from which the modules are imported.
        package: Dotted name of the package that contains `conf`; empty if it lies beside the modules.
        version: Of the distribution; empty for a folder.
    """

    name: str
    conf: Path
    root: Path
    package: str = ""
    version: str = ""

    @property
    def is_folder(self) -> bool:
        """Whether it was given by `--config-dir` or `MIMBENCH_CONF` and is not installed."""
        return not self.version

    def files(self) -> list[Path]:
        """The configuration files, relative to `conf`."""
        return sorted(path.relative_to(self.conf) for path in self.conf.rglob("*.yaml"))

    def contains(self, module: str) -> bool:
        """Whether a module, by dotted name, is one of the plugin's; other modules below `root` are not."""
        if self.package and module != self.package and not module.startswith(f"{self.package}."):
            return False
        origin = getattr(sys.modules.get(module), "__file__", None)
        path = self.root.joinpath(*module.split("."))
        return origin is not None and Path(origin).resolve() in (
            path.with_name(f"{path.name}.py"),
            path / "__init__.py",
        )


def plugins() -> list[Plugin]:
    """All plugins: installed packages, then the folders of `MIMBENCH_CONF`.

    Raises:
        UserError: A plugin has no configuration files, or a file that exists already.
    """
    return list(_find(os.environ.get(VARIABLE, ""), tuple(sys.path)))


def folders() -> list[str]:
    """The absolute paths of the folders of `MIMBENCH_CONF`, for the command lines of child processes."""
    return [str(plugin.conf) for plugin in plugins() if plugin.is_folder]


@contextmanager
def enabled(paths: Sequence[str]) -> Iterator[None]:
    """Adds folders to those of `MIMBENCH_CONF`, checks all plugins, and makes the modules of folders importable.

    Raises:
        UserError: As for `plugins`.
    """
    before, search = os.environ.get(VARIABLE), list(sys.path)
    chosen = [*filter(None, (before or "").split(os.pathsep)), *paths]
    try:
        if chosen:
            os.environ[VARIABLE] = os.pathsep.join(str(Path(path).expanduser().absolute()) for path in chosen)
        # Behind all others, so that no module of a folder hides an installed one.
        sys.path += dict.fromkeys(str(plugin.root) for plugin in plugins() if str(plugin.root) not in search)
        yield
    finally:
        sys.path[:] = search
        if before is not None:
            os.environ[VARIABLE] = before
        else:
            os.environ.pop(VARIABLE, None)


def split_options(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """A command line without its options `--config-dir`, and their values.

    Raises:
        UserError: The last option has no value.
    """
    rest: list[str] = []
    paths: list[str] = []
    following = iter(words)
    for word in following:
        option, assigned, value = word.partition("=")
        if option not in _OPTIONS:
            rest.append(word)
            continue
        value = value if assigned else next(following, "")
        if not value:
            raise UserError(f"{option} needs a folder of config groups: {option} DIR.")
        paths.append(value)
    return rest, paths


def provides(target: str, bases: tuple[type, ...]) -> bool:
    """Whether a plugin has a part that files of runs may build.

    A part is a public subclass of one of the bases, or a function or class that a configuration file of the plugin
    names as `_target_`; in both cases defined in a module of the plugin.

    Raises:
        UserError: The module of the part exists and cannot be imported.
    """
    for plugin in plugins():
        for module in _modules(target, plugin):
            part: Any = getattr(module, target[len(module.__name__) + 1 :], _MISSING)
            if part is _MISSING or not plugin.contains(str(getattr(part, "__module__", ""))):
                continue
            public = not target.rpartition(".")[2].startswith("_")
            if (public and isinstance(part, type) and issubclass(part, bases)) or target in _targets(plugin):
                return True
    return False


def _modules(target: str, plugin: Plugin) -> Iterator[ModuleType]:
    """The module of the plugin that a target names, if there is one."""
    name = target.rpartition(".")[0]
    if not all(part.isidentifier() for part in target.split(".")) or not name:
        return
    path = plugin.root.joinpath(*name.split("."))
    if not (path.with_name(f"{path.name}.py").is_file() or (path / "__init__.py").is_file()):
        return
    if plugin.package and name != plugin.package and not name.startswith(f"{plugin.package}."):
        return
    try:
        module = import_module(name)
    except Exception as error:
        raise UserError(f"{name} of the plugin {plugin.name} cannot be imported: {error}") from error
    if plugin.contains(name):
        yield module


def _targets(plugin: Plugin) -> set[str]:
    """All `_target_` values in the configuration files of a plugin."""
    import yaml

    from mimbench.experiments.stored import find_targets

    return {
        target
        for file in plugin.files()
        for target in find_targets(yaml.safe_load((plugin.conf / file).read_text(encoding="utf-8")))
    }


@cache
def _find(variable: str, search: tuple[str, ...]) -> tuple[Plugin, ...]:
    """All plugins; an installed one, or one found on `search`, may be named by its folder as well."""
    every = [*_installed(), *(_folder(path) for path in variable.split(os.pathsep) if path)]
    found = list({plugin.conf: plugin for plugin in reversed(every)}.values())[::-1]
    owners: dict[Path, str] = {}
    for plugin in found:
        for file in plugin.files():
            if file in owners or (_own_conf() / file).exists():
                raise UserError(
                    f"{plugin.conf / file} has the name of a file of {owners.get(file, 'mimbench')}; choose another."
                )
            owners[file] = plugin.name
    return tuple(found)


def _installed() -> Iterator[Plugin]:
    """The packages with an entry point; a package that a path provides twice counts once."""
    for name, point in {point.name: point for point in entry_points(group=GROUP)}.items():
        owner = point.dist.name if point.dist else name
        try:
            spec = find_spec(point.value)
        except (ImportError, ValueError):
            spec = None
        places = list(spec.submodule_search_locations or ()) if spec else []
        if not places:
            raise UserError(
                f"The plugin {name} of {owner} is not usable: there is no package {point.value}. Correct its entry "
                f"point {GROUP}, or uninstall {owner}."
            )
        package = Path(places[0]).resolve()
        root = package.parents[point.value.count(".")]
        yield Plugin(name, _checked(package / "conf", f"The plugin {name}"), root, point.value, _version(point))


def _version(point: Any) -> str:
    return point.dist.version if point.dist else "unknown"


def _folder(path: str) -> Plugin:
    conf = _checked(Path(path), "--config-dir (or MIMBENCH_CONF)").resolve()
    root, names = conf.parent, list[str]()
    while (root / "__init__.py").is_file():
        names.insert(0, root.name)
        root = root.parent
    return Plugin(str(conf), conf, root, ".".join(names))


def _checked(conf: Path, who: str) -> Path:
    if not conf.is_dir():
        raise UserError(f"{who}: there is no folder {conf}; expected one with config groups.")
    if not any(conf.glob("*/*.yaml")):
        raise UserError(f"{who}: {conf} has no config groups; expected files such as {conf}/method/NAME.yaml.")
    return conf


def _own_conf() -> Path:
    from mimbench.experiments.config import config_directory

    return config_directory()

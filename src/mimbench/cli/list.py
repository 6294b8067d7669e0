"""`mimbench list`: the options of the config groups, one line each."""

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence

from mimbench.core.errors import UserError, nearest
from mimbench.experiments.composition.options import addition, describe_group, options, public_groups

_COUNTED = (
    *("method", "encoder", "masker", "target", "budget", "protocol", "logger", "experiment", "ablation"),
    *("augmentation", "hydra/launcher"),
)


def main(argv: Sequence[str]) -> int:
    """Prints the options of one kind, or all kinds; exit status 2 for an unknown kind."""
    kind = _parser().parse_args(list(argv)).kind
    if kind is None:
        _show({plural: describe_group(group) for plural, group in kinds().items()})
        print("\nmimbench list KIND lists the options of one.")
        return 0
    group = kinds().get(kind) or str(kind)
    if group not in kinds().values():
        raise UserError(f"There is no kind '{kind}'.{nearest(kind, kinds())} Valid: {', '.join(kinds())}.")
    _show(options(group))
    print(f"\nUse: mimbench run {addition(group)}{group}=NAME")
    return 0


def kinds() -> dict[str, str]:
    """The config groups by the plural of their names."""
    return {_plural(group): group for group in public_groups()}


def _plural(group: str) -> str:
    return f"{group.removeprefix('hydra/')}s" if group in _COUNTED else group


def _show(rows: Mapping[str, str]) -> None:
    """Prints names and descriptions; on a terminal, one line is never wider than it."""
    width = max(map(len, rows), default=0)
    for name, text in rows.items():
        line = f"{name:<{width}}  {text}".rstrip()
        columns = shutil.get_terminal_size().columns
        print(f"{line[: columns - 1]}…" if sys.stdout.isatty() and len(line) > columns else line)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mimbench list", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "kind",
        metavar="KIND",
        nargs="?",
        help="methods, encoders, data, protocols, experiments, ablations or another; without it, all kinds are listed",
    )
    return parser

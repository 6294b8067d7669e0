"""`mimbench dashboard`: a workspace and a report at Weights & Biases that compare the methods of a project."""

import argparse
import json
import re
import sys
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Creates both or renews them; 2 for a error, 1 where the server does not take them."""
    options = _parser().parse_args(list(argv))
    if not re.fullmatch(r"[\w.-]+/[\w. -]+", options.target):
        return _refuse(f"'{options.target}' is not ENTITY/PROJECT, such as my-team/mimbench.")
    entity, project = options.target.split("/")
    from mimbench.trackers import wandb_panels

    if options.panels:
        print(json.dumps(wandb_panels.as_json(), indent=2))
        return 0
    if not options.print:
        from mimbench.trackers.wandb_access import access_error

        if reason := access_error():
            return _refuse(f"{reason} --print needs neither key nor server.")
    from mimbench.trackers import wandb_workspace

    if options.print:
        print(json.dumps(wandb_workspace.as_specs(entity, project), indent=2))
        return 0
    try:
        for name, address in wandb_workspace.save(entity, project).items():
            print(f"{name:<11}{address}")
    except ValueError as error:
        return _refuse(str(error), 1)
    return 0


def _refuse(message: str, status: int = 2) -> int:
    print(f"mimbench dashboard: {message}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mimbench dashboard", description=__doc__, allow_abbrev=False)
    parser.add_argument("target", metavar="ENTITY/PROJECT", help="where the runs are")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--print", action="store_true", help="print what would be saved, as JSON, without a network")
    shown.add_argument("--panels", action="store_true", help="print the list of panels and their metrics only")
    return parser

"""`mimbench dashboard`: a workspace and a report on Weights & Biases that compare the methods of a project."""

import argparse
import json
import re
import sys
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Creates or updates both; exit status 2 for a user error, 1 if the server rejects them."""
    options = _parser().parse_args(list(argv))
    if not re.fullmatch(r"[\w.-]+/[\w. -]+", options.target):
        return _refuse(f"expected ENTITY/PROJECT, such as my-team/mimbench; got '{options.target}'.")
    entity, project = options.target.split("/")
    from mimbench.trackers import wandb_panels

    if options.panels:
        print(json.dumps(wandb_panels.as_json(), indent=2))
        return 0
    if not options.print:
        from mimbench.trackers.wandb_access import access_error

        if reason := access_error():
            return _refuse(f"{reason} --print needs no API key and no server.")
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
    parser.add_argument("target", metavar="ENTITY/PROJECT", help="project of the runs")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--print", action="store_true", help="only print what would be saved, as JSON; needs no network")
    shown.add_argument("--panels", action="store_true", help="only print the panels and their metrics")
    return parser

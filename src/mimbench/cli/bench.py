"""`mimbench bench`: how fast this machine trains, and what limits it. Candidates are measured alternately."""

import argparse
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

KINDS = {
    "step": "training steps of several methods: rates, utilization, memory, parts",
    "data": "the data loader alone, compared with the training step",
    "startup": "time from the command to the first step",
    "counts": "operations per step, counted instead of timed",
    "compile": "time to compile the blocks, and the speed-up",
    "memory": "memory with and without gradient checkpointing (GPU)",
    "all": "everything in docs/about/benchmarks.md; on a GPU step, memory and compile at the papers' sizes",
    "report": "a Markdown page from a folder of results",
}


def main(argv: list[str]) -> int:
    """Measures, prints tables and writes JSON; exit status 2 for a user error."""
    arguments, words = _parser().parse_known_args(argv)
    # Importing PyTorch takes seconds; --help does not need it.
    from mimbench.experiments.composition.compose import run_command

    return run_command("bench", words, lambda: _bench(arguments, words))


def _bench(arguments: argparse.Namespace, words: list[str]) -> int:
    from mimbench.core.errors import UserError

    words = [word for word in words if word not in ("-m", "--multirun")]
    if arguments.rounds < 1 or (arguments.batch is not None and arguments.batch < 1):
        raise UserError("--rounds and --batch must be at least 1.")
    if arguments.kind == "report":
        return _report(arguments)
    if arguments.kind == "all":
        return _all(arguments, words)
    result = _measure(arguments.kind, arguments, words)
    _show({arguments.kind: result})
    if arguments.output is not None:
        _write(arguments.output, json.dumps(result, indent=2) + "\n")
    return 0


def _measure(kind: str, arguments: argparse.Namespace, words: list[str]) -> dict[str, Any]:
    run: Callable[[argparse.Namespace, list[str]], dict[str, Any]]
    run = import_module("mimbench.experiments.benchmarks").KINDS[kind]
    from torch import OutOfMemoryError

    from mimbench.core.errors import UserError

    try:
        return run(arguments, words)
    except OutOfMemoryError as error:
        raise UserError("The GPU does not have enough memory; give fewer runs or a smaller --batch.") from error


def _all(arguments: argparse.Namespace, words: list[str]) -> int:
    from mimbench.core.errors import UserError
    from mimbench.experiments.benchmarks import suite

    if arguments.output is None or words:
        raise UserError("bench all takes --output DIR and no arguments of run; bench step measures given runs.")
    results: dict[str, Any] = {}
    for name, result in suite(arguments):
        results[name] = result
        _write(arguments.output / f"{name}.json", json.dumps(result, indent=2) + "\n")
        _show({name: result})
    _write(arguments.output / "benchmarks.md", _page(results))
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from mimbench.core.errors import UserError

    if arguments.results is None or not (paths := sorted(arguments.results.glob("*.json"))):
        raise UserError("bench report needs --results DIR, a folder of JSON files written by mimbench bench.")
    try:
        results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}
        page = _page(results)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{arguments.results} has a file not written by mimbench bench ({error!r}).") from error
    if arguments.output is None:
        print(page, end="")
    else:
        _write(arguments.output, page)
    return 0


def _page(results: dict[str, Any]) -> str:
    from mimbench.benchmarking.markdown import page

    return page(results)


def _show(results: dict[str, Any]) -> None:
    from mimbench.benchmarking.markdown import sections

    print("\n".join(sections(results)), flush=True)


def _write(path: Path, text: str) -> None:
    from mimbench.core.errors import UserError
    from mimbench.core.files import write_atomic

    try:
        write_atomic(path, text)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error}); choose another path with --output.") from error


def _parser() -> argparse.ArgumentParser:
    kinds = "\n".join(f"  {name:<9}{text}" for name, text in KINDS.items())
    parser = argparse.ArgumentParser(
        prog="mimbench bench",
        usage="mimbench bench KIND [options] [arguments of mimbench run ...]",
        description=f"{__doc__}\n\nkinds:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("kind", metavar="KIND", choices=list(KINDS), help="one of the kinds above")
    parser.add_argument(
        "--output", metavar="PATH", type=Path, help="JSON file to write (all: a folder; report: a Markdown file)"
    )
    parser.add_argument("--results", metavar="DIR", type=Path, help="folder of results that report reads")
    parser.add_argument("--batch", metavar="N", type=int, help="images per step (default: 16; on a GPU the fastest)")
    parser.add_argument(
        "--rounds", metavar="N", type=int, default=5, help="measurements of every candidate (default: 5)"
    )
    parser.add_argument("--device", metavar="NAME", help="cpu or cuda (default: a GPU if there is one)")
    parser.add_argument(
        "--transformers", action="store_true", help="compare the first run, MAE, with the MAE of transformers"
    )
    return parser

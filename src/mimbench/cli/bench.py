"""`mimbench bench`: how fast this machine trains, measured in turns, and what limits it."""

import argparse
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

KINDS = {
    "step": "training steps of several methods: rates, utilization, memory, parts",
    "data": "the loader alone against the training step",
    "startup": "from the command to the first step",
    "counts": "operations per step, counted instead of timed",
    "compile": "what compiling the blocks costs and brings",
    "memory": "with and without gradient checkpointing (GPU)",
    "all": "what docs/about/benchmarks.md shows; on a GPU the papers' sizes: step, memory and compile",
    "report": "a page from a folder of results",
}


def main(argv: list[str]) -> int:
    """Measures, prints tables and writes JSON; 2 for a error in the call."""
    arguments, words = _parser().parse_known_args(argv)
    # PyTorch takes some seconds to import; --help need not wait for it.
    from mimbench.experiments.compose import run_command

    return run_command("bench", words, lambda: _bench(arguments, words))


def _bench(arguments: argparse.Namespace, words: list[str]) -> int:
    from mimbench.core.errors import UserError

    words = [word for word in words if word not in ("-m", "--multirun")]
    if arguments.rounds < 1 or (arguments.batch is not None and arguments.batch < 1):
        raise UserError("--rounds and --batch are 1 or more.")
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
        raise UserError("The GPU's memory does not suffice; name fewer runs, or a smaller --batch.") from error


def _all(arguments: argparse.Namespace, words: list[str]) -> int:
    from mimbench.core.errors import UserError
    from mimbench.experiments.benchmarks import suite

    if arguments.output is None or words:
        raise UserError("bench all takes --output DIR and no words of a run; bench step measures what you name.")
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
        raise UserError("bench report takes --results DIR, a folder of JSON files that mimbench bench has written.")
    try:
        results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}
        page = _page(results)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{arguments.results} has a file that mimbench bench has not written ({error!r}).") from error
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
        raise UserError(f"{path} cannot be written ({error}); choose another place with --output.") from error


def _parser() -> argparse.ArgumentParser:
    kinds = "\n".join(f"  {name:<9}{text}" for name, text in KINDS.items())
    parser = argparse.ArgumentParser(
        prog="mimbench bench",
        usage="mimbench bench KIND [options] [WORDS OF mimbench run ...]",
        description=f"{__doc__}\n\nkinds:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("kind", metavar="KIND", choices=list(KINDS), help="one of the above")
    parser.add_argument("--output", metavar="PATH", type=Path, help="write JSON here (all: a folder; report: a page)")
    parser.add_argument("--results", metavar="DIR", type=Path, help="what report reads")
    parser.add_argument("--batch", metavar="N", type=int, help="images per step (default: 16; on a GPU the fastest)")
    parser.add_argument("--rounds", metavar="N", type=int, default=5, help="turns of every candidate (default: 5)")
    parser.add_argument("--device", metavar="NAME", help="cpu or cuda (default: a GPU if there is one)")
    parser.add_argument("--transformers", action="store_true", help="compare the first run, MAE, with transformers'")
    return parser

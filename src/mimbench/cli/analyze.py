"""`mimbench analyze`: similarity, rank, attention, gradients and reconstructions of trained encoders."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mimbench.core.errors import UserError, nearest
from mimbench.experiments.analysis import NAMES
from mimbench.experiments.composition.errors import CAUSED_BY_USERS, explain
from mimbench.runs.directory import ANALYSIS

if TYPE_CHECKING:
    from mimbench.experiments.analysis.analyses import AnalysisResult
    from mimbench.experiments.analysis.context import AnalysisContext


def main(argv: Sequence[str]) -> int:
    """Analyzes every given encoder and compares several; exit status 2 for a user error, 130 for an interruption."""
    from mimbench.experiments.evaluation.config import evaluation_keys, is_override

    options, words = _parser().parse_known_args(list(argv))
    paths = [Path(word) for word in words if not is_override(word)]
    overrides = [word for word in words if is_override(word)]
    try:
        if unknown := [word for word in words if word.startswith("-")]:
            raise UserError(f"There is no option {unknown[0]}. See mimbench analyze --help.")
        if not paths:
            raise UserError("Give runs, checkpoints or imported weights. See mimbench analyze --help.")
        if foreign := [word for word in overrides if not word.startswith(("data", "logger"))]:
            raise UserError(
                f"{foreign[0]} does not apply to analyze; expected data=NAME for other images or logger=NAME for a "
                "tracker."
            )
        return _analyze(paths, overrides, options)
    except UserError as error:
        return _refuse(str(error))
    except CAUSED_BY_USERS as error:
        return _refuse(explain(error, evaluation_keys(overrides)))
    except KeyboardInterrupt:
        return _refuse("Interrupted; finished analyses are kept.", 130)


def _analyze(paths: list[Path], overrides: list[str], options: argparse.Namespace) -> int:
    # Heavy imports are deferred so that --help and errors are fast.
    from mimbench.experiments.analysis.results import analyze
    from mimbench.experiments.evaluation.config import compose_evaluation
    from mimbench.experiments.evaluation.encoder_sources import expand_paths, find_source
    from mimbench.experiments.trackers import check_trackers
    from mimbench.reporting.figures.palette import style

    chosen = _chosen(options.only)
    config, _ = compose_evaluation(overrides)
    check_trackers(config)
    with style():
        contexts = [_context(find_source(path), path, overrides, options) for path in expand_paths(paths)]
        results: list[dict[str, AnalysisResult]] = []
        for context in contexts:
            results.append(analyze(context, chosen))
            _log(context, results[-1], config)
        if not any(results):
            raise UserError("Nothing was analyzed; the reasons are listed above.")
        if len(contexts) > 1:
            _compare(contexts, results, chosen, options.out)
    return 0


def _log(context: "AnalysisContext", results: dict[str, "AnalysisResult"], config: dict[str, Any]) -> None:
    """Logs the summary to the trackers."""
    from mimbench.experiments.analysis.results import merge_summaries
    from mimbench.experiments.trackers import log_evaluation

    if summary := merge_summaries(results):
        numbers = {"depths": list(range(context.encoder.depth + 1)), **summary}
        log_evaluation(config, context.directory, "analysis", "analysis-v1", numbers, context.suffix)


def _context(source: Any, path: Path, overrides: list[str], options: argparse.Namespace) -> "AnalysisContext":
    from mimbench.experiments.analysis.context import AnalysisContext, Sample
    from mimbench.experiments.build import build_data
    from mimbench.experiments.evaluation.config import choose_data

    data = choose_data(source, overrides)
    sample = Sample(data, build_data(data), options.split, options.images, _device(options.device))
    try:
        context = AnalysisContext(source, path, sample)
        tap = context.encoder.taps[0]
    except ValueError as error:
        raise UserError(f"{source.name}: {error}") from error
    size, side = sample.datamodule.image_size, tap.grid[0] * tap.cell
    if size != side:
        raise UserError(f"{source.name} expects images of {side} px, got {size} px; add data.image_size={side}.")
    return context


def _compare(
    contexts: list["AnalysisContext"],
    results: list[dict[str, "AnalysisResult"]],
    chosen: Sequence[str],
    out: Path | None,
) -> None:
    """Writes the figures and numbers that compare several encoders."""
    from mimbench.experiments.analysis import comparison
    from mimbench.experiments.analysis.results import merge_summaries, write_figure, write_numbers

    folder = (out or comparison.common_parent(contexts)) / ANALYSIS
    drawn = comparison.draw_curves(contexts, [merge_summaries(own) for own in results])
    if not comparison.have_same_images(contexts):
        note = "the encoders were analyzed on different images; choose the same for all with data=NAME."
        print(f"The comparison has no CKA and no reconstructions: {note}", file=sys.stderr)
    else:
        if "cka" in chosen and all("cka" in own for own in results):
            compared = comparison.compare_cka(contexts)
            write_numbers(folder / "cka.json", compared.numbers)
            drawn |= compared.figures
        rows = [own["reconstructions"].panels if "reconstructions" in own else {} for own in results]
        if (figure := comparison.draw_panels(contexts, rows)) is not None:
            drawn["reconstructions"] = figure
    for title, figure in drawn.items():
        write_figure(folder / title, figure)
    if drawn:
        print(f"Comparison: {folder}")


def _chosen(only: str | None) -> list[str]:
    names = list(NAMES) if only is None else [name for name in only.split(",") if name]
    if unknown := [name for name in names if name not in NAMES]:
        hint = nearest(unknown[0], NAMES)
        raise UserError(f"There is no analysis '{unknown[0]}'.{hint} Choose from {', '.join(NAMES)}.")
    return [name for name in NAMES if name in names]


def _device(name: str) -> Any:
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("There is no CUDA device; leave out --device or use --device cpu.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer, got '{text}'")
    return int(text)


def _refuse(message: str, status: int = 2) -> int:
    print(f"mimbench analyze: {message}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mimbench analyze",
        usage="mimbench analyze RUN|CHECKPOINT|IMPORT... [data=NAME] [options]",
        description=__doc__,
        epilog="Writes numbers to RUN/analysis/, figures to RUN/figures/ and a summary to RUN/record.json. Comparisons "
        "of several encoders go to analysis/ in their common parent. Imported weights have no images of their own and "
        "need data=NAME.",
        allow_abbrev=False,
    )
    parser.add_argument("--only", metavar="A,B", help=f"some of {','.join(NAMES)} (default: all)")
    parser.add_argument(
        "--images", metavar="N", type=_positive, default=1000, help="number of images (default: %(default)s)"
    )
    parser.add_argument(
        "--split", choices=("train", "val", "test"), default="val", help="split of the images (default: %(default)s)"
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="(default: a GPU if there is one)"
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="folder for comparisons (default: the common parent of the encoders)"
    )
    return parser

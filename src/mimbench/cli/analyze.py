"""`mimbench analyze`: what is inside trained encoders: similarity, rank, attention, gradients, reconstructions."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mimbench.core.errors import UserError, nearest
from mimbench.experiments.analysis import NAMES
from mimbench.experiments.errors import CAUSED_BY_USERS, explain
from mimbench.runs.directory import ANALYSIS

if TYPE_CHECKING:
    from mimbench.experiments.analysis.analyses import AnalysisResult
    from mimbench.experiments.analysis.context import AnalysisContext


def main(argv: Sequence[str]) -> int:
    """Analyses everything that is named, and where there are several also side by side; 2 for a error."""
    from mimbench.experiments.evaluation_config import evaluation_keys, is_override

    options, words = _parser().parse_known_args(list(argv))
    paths = [Path(word) for word in words if not is_override(word)]
    overrides = [word for word in words if is_override(word)]
    try:
        if unknown := [word for word in words if word.startswith("-")]:
            raise UserError(f"There is no option {unknown[0]}. See mimbench analyze --help.")
        if not paths:
            raise UserError("Name runs, checkpoints or imported weights. See mimbench analyze --help.")
        if foreign := [word for word in overrides if not word.startswith(("data", "logger"))]:
            raise UserError(f"{foreign[0]} means nothing here; data=NAME chooses other images, logger=NAME a tracker.")
        return _analyze(paths, overrides, options)
    except UserError as error:
        return _refuse(str(error))
    except CAUSED_BY_USERS as error:
        return _refuse(explain(error, evaluation_keys(overrides)))
    except OSError as error:
        return _refuse(f"{error.filename or 'a file'} cannot be read or written ({error.strerror or error}).")
    except KeyboardInterrupt:
        return _refuse("Interrupted; what was analyzed is kept.", 130)


def _analyze(paths: list[Path], overrides: list[str], options: argparse.Namespace) -> int:
    # Heavy imports wait until they are needed: --help and errors answer at once.
    from mimbench.experiments.analysis.results import analyze
    from mimbench.experiments.encoder_sources import expand_paths, find_source
    from mimbench.experiments.evaluation_config import compose_evaluation
    from mimbench.experiments.trackers import check_trackers
    from mimbench.reporting.figures.palette import style

    chosen = _chosen(options.only)
    config, _ = compose_evaluation(overrides)
    check_trackers(config)
    with style():
        subjects = [_context(find_source(path), path, overrides, options) for path in expand_paths(paths)]
        found = [_told(subject, analyze(subject, chosen), config) for subject in subjects]
        if not any(found):
            raise UserError("Nothing was analyzed; the reasons stand above.")
        if len(subjects) > 1:
            _together(subjects, found, chosen, options.out)
    return 0


def _told(
    subject: "AnalysisContext", found: dict[str, "AnalysisResult"], config: dict[str, Any]
) -> dict[str, "AnalysisResult"]:
    """Tells trackers what was found, and passes it on."""
    from mimbench.experiments.analysis.results import merge_summaries
    from mimbench.experiments.trackers import log_evaluation

    if summary := merge_summaries(found):
        numbers = {"depths": list(range(subject.encoder.depth + 1)), **summary}
        log_evaluation(config, subject.directory, "analysis", "analysis-v1", numbers, subject.suffix)
    return found


def _context(candidate: Any, path: Path, overrides: list[str], options: argparse.Namespace) -> "AnalysisContext":
    from mimbench.experiments.analysis.context import AnalysisContext, Sample
    from mimbench.experiments.build import build_data
    from mimbench.experiments.evaluation_config import choose_data

    data = choose_data(candidate, overrides)
    sample = Sample(data, build_data(data), options.split, options.images, _device(options.device))
    try:
        context = AnalysisContext(candidate, path, sample)
        tap = context.encoder.taps[0]
    except ValueError as error:
        raise UserError(f"{candidate.name}: {error}") from error
    size, side = sample.datamodule.image_size, tap.grid[0] * tap.cell
    if size != side:
        raise UserError(
            f"{candidate.name} takes images of {side} px, these have {size} px; add data.image_size={side}."
        )
    return context


def _together(
    subjects: list["AnalysisContext"], found: list[dict[str, "AnalysisResult"]], chosen: Sequence[str], out: Path | None
) -> None:
    from mimbench.experiments.analysis import comparison
    from mimbench.experiments.analysis.results import merge_summaries, write_figure, write_numbers

    folder = (out or comparison.common_parent(subjects)) / ANALYSIS
    drawn = comparison.draw_curves(subjects, [merge_summaries(own) for own in found])
    if not comparison.have_same_images(subjects):
        note = "the encoders were shown different images; name the same with data=NAME."
        print(f"CKA and images side by side are left out: {note}", file=sys.stderr)
    else:
        if "cka" in chosen and all("cka" in own for own in found):
            finding = comparison.compare_cka(subjects)
            write_numbers(folder / "cka.json", finding.numbers)
            drawn |= finding.figures
        rows = [own["reconstructions"].panels if "reconstructions" in own else {} for own in found]
        if (figure := comparison.draw_panels(subjects, rows)) is not None:
            drawn["reconstructions"] = figure
    for title, figure in drawn.items():
        write_figure(folder / title, figure)
    if drawn:
        print(f"Side by side: {folder}")


def _chosen(only: str | None) -> list[str]:
    names = list(NAMES) if only is None else [name for name in only.split(",") if name]
    if unknown := [name for name in names if name not in NAMES]:
        hint = nearest(unknown[0], NAMES)
        raise UserError(f"There is no analysis '{unknown[0]}'.{hint} Choose from {', '.join(NAMES)}.")
    return [name for name in NAMES if name in names]


def _device(name: str) -> Any:
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("There is no CUDA device; leave --device out or take cpu.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no positive whole number")
    return int(text)


def _refuse(message: str, status: int = 2) -> int:
    print(f"mimbench analyze: {message}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mimbench analyze",
        usage="mimbench analyze RUN|CHECKPOINT|IMPORT... [data=NAME] [options]",
        description=__doc__,
        epilog="Numbers go to RUN/analysis/, figures to RUN/figures/, a summary into RUN/record.json. Several encoders "
        "are also compared, in analysis/ beside them. Imported weights have no images of their own: choose data=NAME.",
        allow_abbrev=False,
    )
    parser.add_argument("--only", metavar="A,B", help=f"some of {','.join(NAMES)}")
    parser.add_argument("--images", metavar="N", type=_positive, default=1000, help="(default: %(default)s)")
    parser.add_argument("--split", choices=("train", "val", "test"), default="val", help="(default: %(default)s)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(default: a GPU if any)")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where comparisons go (default: the common parent)")
    return parser

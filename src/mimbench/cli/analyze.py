"""`mimbench analyze`: what is inside trained encoders: similarity, rank, attention, gradients, reconstructions."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mimbench.cli.mistakes import CAUSED_BY_USERS, Mistake, explain, nearest

if TYPE_CHECKING:
    from mimbench.cli.analyses import Finding
    from mimbench.cli.examined import Examined

_NAMES = ("cka", "rank", "attention", "gradients", "reconstructions")


def main(argv: Sequence[str]) -> int:
    """Analyses everything that is named, and where there are several also side by side; 2 for a mistake."""
    from mimbench.cli.choices import evaluate_keys, is_override

    options, words = _parser().parse_known_args(list(argv))
    paths = [Path(word) for word in words if not is_override(word)]
    overrides = [word for word in words if is_override(word)]
    try:
        if unknown := [word for word in words if word.startswith("-")]:
            raise Mistake(f"There is no option {unknown[0]}. See mimbench analyze --help.")
        if not paths:
            raise Mistake("Name runs, checkpoints or imported weights. See mimbench analyze --help.")
        if foreign := [word for word in overrides if not word.startswith(("data", "logger"))]:
            raise Mistake(f"{foreign[0]} means nothing here; data=NAME chooses other images, logger=NAME a tracker.")
        return _analyze(paths, overrides, options)
    except Mistake as mistake:
        return _refuse(str(mistake))
    except CAUSED_BY_USERS as error:
        return _refuse(explain(error, evaluate_keys(overrides)))
    except OSError as error:
        return _refuse(f"{error.filename or 'a file'} cannot be read or written ({error.strerror or error}).")
    except KeyboardInterrupt:
        return _refuse("Interrupted; what was analysed is kept.", 130)


def _analyze(paths: list[Path], overrides: list[str], options: argparse.Namespace) -> int:
    # Heavy imports wait until they are needed: --help and mistakes answer at once.
    from mimbench.cli.choices import compose
    from mimbench.cli.findings import examine
    from mimbench.cli.mirrors import check_mirrors
    from mimbench.cli.subjects import expand, find
    from mimbench.reporting.palette import style

    chosen = _chosen(options.only)
    config, _ = compose(overrides)
    check_mirrors(config)
    with style():
        subjects = [_examined(find(path), path, overrides, options) for path in expand(paths)]
        found = [_told(subject, examine(subject, chosen), config) for subject in subjects]
        if not any(found):
            raise Mistake("Nothing was analysed; the reasons stand above.")
        if len(subjects) > 1:
            _together(subjects, found, chosen, options.out)
    return 0


def _told(subject: "Examined", found: dict[str, "Finding"], config: dict[str, Any]) -> dict[str, "Finding"]:
    """Tells trackers what was found, and passes it on."""
    from mimbench.cli.findings import summary_of
    from mimbench.cli.mirrors import mirror_evaluation

    if summary := summary_of(found):
        numbers = {"depths": list(range(subject.encoder.depth + 1)), **summary}
        mirror_evaluation(config, subject.directory, f"analysis-v1{subject.suffix}", numbers)
    return found


def _examined(candidate: Any, path: Path, overrides: list[str], options: argparse.Namespace) -> "Examined":
    from mimbench.cli.build import data_of
    from mimbench.cli.choices import chosen_data
    from mimbench.cli.examined import Examined, Sample

    data = chosen_data(candidate, overrides)
    sample = Sample(data, data_of(data), options.split, options.images, _device(options.device))
    try:
        examined = Examined(candidate, path, sample)
        tap = examined.encoder.taps[0]
    except ValueError as error:
        raise Mistake(f"{candidate.name}: {error}") from error
    size, side = sample.datamodule.image_size, tap.grid[0] * tap.cell
    if size != side:
        raise Mistake(f"{candidate.name} takes images of {side} px, these have {size} px; add data.image_size={side}.")
    return examined


def _together(
    subjects: list["Examined"], found: list[dict[str, "Finding"]], chosen: Sequence[str], out: Path | None
) -> None:
    from mimbench.cli import comparison
    from mimbench.cli.findings import draw, summary_of, write

    folder = (out or comparison.common_parent(subjects)) / "analysis"
    drawn = comparison.curves(subjects, [summary_of(own) for own in found])
    if not comparison.comparable(subjects):
        note = "the encoders were shown different images; name the same with data=NAME."
        print(f"CKA and pictures side by side are left out: {note}", file=sys.stderr)
    else:
        if "cka" in chosen and all("cka" in own for own in found):
            finding = comparison.similarity(subjects)
            write(folder / "cka.json", finding.numbers)
            drawn |= finding.figures
        rows = [own["reconstructions"].pictures if "reconstructions" in own else {} for own in found]
        if (figure := comparison.pictures(subjects, rows)) is not None:
            drawn["reconstructions"] = figure
    for title, figure in drawn.items():
        draw(folder / title, figure)
    if drawn:
        print(f"Side by side: {folder}")


def _chosen(only: str | None) -> list[str]:
    names = list(_NAMES) if only is None else [name for name in only.split(",") if name]
    if unknown := [name for name in names if name not in _NAMES]:
        hint = nearest(unknown[0], _NAMES)
        raise Mistake(f"There is no analysis '{unknown[0]}'.{hint} Choose from {', '.join(_NAMES)}.")
    return [name for name in _NAMES if name in names]


def _device(name: str) -> Any:
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise Mistake("There is no CUDA device; leave --device out or take cpu.")
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
    parser.add_argument("--only", metavar="A,B", help=f"some of {','.join(_NAMES)}")
    parser.add_argument("--images", metavar="N", type=_positive, default=1000, help="(default: %(default)s)")
    parser.add_argument("--split", choices=("train", "val", "test"), default="val", help="(default: %(default)s)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(default: a GPU if any)")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where comparisons go (default: the common parent)")
    return parser

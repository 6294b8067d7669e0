"""`mimbench weights`: inspect, import and export weight files."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mimbench.core.text import printable
from mimbench.runs import records
from mimbench.runs.directory import CONFIG, RECORD, config

if TYPE_CHECKING:
    from mimbench.weights import WeightFile


def main(argv: list[str]) -> int:
    """Inspects, imports or exports; exit status 2 for an invalid file or a user error."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.do(arguments)
    except ValueError as error:
        return _refuse(str(error))
    return 0


def _inspect(arguments: argparse.Namespace) -> None:
    from mimbench.weights import read_file, recognize
    from mimbench.weights.describing import described, format_text
    from mimbench.weights.recognize import method_of
    from mimbench.weights.store import heads_beside, locate

    path = locate(arguments.file)
    file = read_file(path)
    found = recognize(file.state)
    method = _recorded_method(arguments.file) or method_of(file.state)
    rows = {"file": str(path), "format": format_text(found.format)}
    if method is not None:
        rows["method"] = method
    rows |= described(found, heads_beside(path))
    rows["parameters"] = f"{sum(t.numel() for t in file.state.values() if t.is_floating_point()):,}"
    rows["entries"] = str(len(file.state))
    if file.beside:
        rows["other content"] = ", ".join(file.beside)
    print("\n".join(f"{name:<14}{printable(text)}" for name, text in rows.items()))
    _check_finite(file, arguments.strict)


def _check_finite(file: "WeightFile", strict: bool) -> None:
    """Warns of tensors with NaN or infinity on stderr; with `strict`, raises ValueError."""
    names = file.not_finite()
    if not names:
        return
    listed = ", ".join(map(printable, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    message = f"{file.path.name} has NaN or infinity in {listed}."
    if strict:
        raise ValueError(f"{message} Leave out --strict to use the file anyway.")
    print(f"mimbench weights: warning: {message}", file=sys.stderr)


def _import(arguments: argparse.Namespace) -> None:
    from mimbench.weights import import_weights, read_file, write_import
    from mimbench.weights.store import heads_beside, locate

    path = locate(arguments.file)
    file = read_file(path)
    _check_finite(file, arguments.strict)
    imported = import_weights(
        file,
        arguments.format,
        arguments.image_size,
        arguments.num_heads or heads_beside(path),
        arguments.decoder_heads,
        arguments.released_quirks,
        arguments.encoder_only,
        arguments.depths,
    )
    out = arguments.out or Path(f"{arguments.file.stem or arguments.file.name}-imported")
    for written in write_import(imported, file, out):
        print(written)
    counts = {fate: sum(f["fate"] == fate for f in imported.fates.values()) for fate in _FATES}
    print(f"{len(imported.fates)} entries: " + ", ".join(f"{count} {fate}" for fate, count in counts.items()) + ".")


_FATES = ("used", "created by us", "left out")


def _export(arguments: argparse.Namespace) -> None:
    from mimbench.weights import export_weights

    written = export_weights(
        arguments.directory,
        arguments.format,
        arguments.out,
        arguments.num_heads or _recorded_heads(arguments.directory),
        arguments.decoder,
        arguments.pooler,
    )
    for path in written:
        print(path)
    if arguments.push:
        from mimbench.weights.hub import push

        print(push(written, arguments.push, arguments.public))


def _recorded_method(path: Path) -> str | None:
    return str(records.read(path / RECORD).axes["method"]) if (path / RECORD).is_file() else None


def _recorded_heads(directory: Path) -> int | None:
    if not (directory / CONFIG).is_file():
        return None
    encoder = config(directory).get("encoder")
    heads = encoder.get("num_heads") if isinstance(encoder, dict) else None
    return heads if type(heads) is int else None


def _refuse(message: str) -> int:
    print(f"mimbench weights: {message}", file=sys.stderr)
    return 2


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer, got '{text}'")
    return int(text)


def _depths(text: str) -> tuple[int, ...]:
    # CrossMAE also reads depth 0, the embedding.
    return tuple(0 if part.strip() == "0" else _positive(part.strip()) for part in text.split(","))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mimbench weights", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _inspect_parser(commands.add_parser("inspect", help="describe a weight file", allow_abbrev=False))
    _import_parser(commands.add_parser("import", help="convert a released file to mimbench", allow_abbrev=False))
    _export_parser(commands.add_parser("export", help="convert weights to timm and others", allow_abbrev=False))
    return parser


def _inspect_parser(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(do=_inspect)
    parser.add_argument("file", metavar="FILE", type=Path, help="weight file, run, import or Hugging Face folder")
    parser.add_argument("--strict", action="store_true", help="reject weights with NaN or infinity")


def _import_parser(parser: argparse.ArgumentParser) -> None:
    formats = (
        "mae|mae-finetune|deepmim|localmim-vit|localmim-swin|mirl|crossmae|mff|simmim|ijepa|timm|transformers-vitmae"
    )
    parser.set_defaults(do=_import)
    parser.add_argument("file", metavar="FILE", type=Path, help="weight file or Hugging Face folder")
    parser.add_argument("--format", metavar="FORMAT", help=f"{formats} (default: recognized from the parameter names)")
    parser.add_argument(
        "--image-size", metavar="PX", type=_positive, help="interpolate position embeddings to this image size"
    )
    parser.add_argument(
        "--num-heads", metavar="N", type=_positive, help="attention heads of a ViT (default: the papers' for its width)"
    )
    parser.add_argument(
        "--decoder-heads", metavar="N", type=_positive, help="heads of the decoders (default: one per 32 channels)"
    )
    parser.add_argument(
        "--depths", metavar="N,N,...", type=_depths, help="depths of the decoders (default: as released)"
    )
    parser.add_argument(
        "--released-quirks", action="store_true", help="localmim-swin: reproduce the quirks of the released code"
    )
    parser.add_argument("--strict", action="store_true", help="reject weights with NaN or infinity")
    parser.add_argument("--encoder-only", action="store_true", help="import without decoders")
    parser.add_argument("--out", metavar="DIR", type=Path, help="folder to write (default: NAME-imported)")


def _export_parser(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(do=_export)
    parser.add_argument("directory", metavar="DIR", type=Path, help="a run or an import")
    formats = "timm|transformers-vit|transformers-vitmae|released"
    parser.add_argument("--format", metavar="FORMAT", required=True, help=formats)
    parser.add_argument("--out", metavar="PATH", type=Path, required=True, help="file, or folder for transformers")
    parser.add_argument(
        "--num-heads", metavar="N", type=_positive, help="attention heads of a ViT whose number was not recorded"
    )
    parser.add_argument("--decoder", action="store_true", help="transformers-vitmae: include MAE's decoder")
    parser.add_argument(
        "--no-pooler", dest="pooler", action="store_false", help="transformers-vit: for a model without pooler"
    )
    parser.add_argument("--push", metavar="NAME", help="also upload to this repository on the Hugging Face Hub")
    parser.add_argument("--public", action="store_true", help="create a public repository (default: private)")

"""`mimbench data`: pack a folder of images into shards, and check shards."""

import argparse
import sys
from pathlib import Path


def main(argv: list[str]) -> int:
    """Does what the first word says; 2 where a folder or a shard is not what it should be."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.do(arguments)
    except ValueError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"{error.filename or 'a file'} cannot be read or written ({error.strerror or error}).")
    except KeyboardInterrupt:
        return _refuse("interrupted; the same command goes on from here.", 130)
    return 0


def _pack(arguments: argparse.Namespace) -> None:
    from mimbench.data.shards.pack import pack

    manifest = pack(arguments.folder, arguments.out, int(arguments.shard_mb * 1e6), follow_links=arguments.follow_links)
    shards = [shard for part in manifest.shards.values() for shard in part]
    images, size = sum(shard.num_samples for shard in shards), sum(shard.num_bytes for shard in shards)
    print(f"{images:,} images of {len(manifest.classes)} classes in {len(shards)} shards, {size / 1e9:.2f} GB")
    print(f"Use: mimbench run data=shards data.source.root={arguments.out}")


def _check(arguments: argparse.Namespace) -> None:
    from mimbench.data.shards.pack import check

    manifest = check(arguments.directory)
    print(f"All {sum(map(len, manifest.shards.values()))} shards are as they were written.")


def _refuse(message: str, status: int = 2) -> int:
    print(f"mimbench data: {message}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mimbench data", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="WHAT")
    pack = commands.add_parser("pack", help="train/CLASS/* and val/CLASS/* into shards; goes on where it was stopped")
    pack.add_argument("folder", metavar="FOLDER", type=Path, help="has train/ and val/")
    pack.add_argument("out", metavar="OUT", type=Path, help="where the shards go")
    pack.add_argument("--shard-mb", metavar="MB", type=float, default=1000, help="size of a shard (default: 1000)")
    pack.add_argument("--follow-links", action="store_true", help="also copy what links out of FOLDER point to")
    pack.set_defaults(do=_pack)
    check = commands.add_parser("check", help="read all shards and compare their checksums")
    check.add_argument("directory", metavar="DIR", type=Path, help="where pack.json lies")
    check.set_defaults(do=_check)
    return parser

"""`mimbench data`: pack a folder of images into shards, and check shards."""

import argparse
import sys
from pathlib import Path


def main(argv: list[str]) -> int:
    """Packs or checks; exit status 2 for an invalid folder or a damaged shard, 130 for an interruption."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.do(arguments)
    except ValueError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        return _refuse("Interrupted; the same command continues.", 130)
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
    print(f"All {sum(map(len, manifest.shards.values()))} shards match their checksums.")


def _refuse(message: str, status: int = 2) -> int:
    print(f"mimbench data: {message}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mimbench data", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    pack = commands.add_parser(
        "pack", help="pack train/CLASS/* and val/CLASS/* into shards; continues if it was interrupted"
    )
    pack.add_argument("folder", metavar="FOLDER", type=Path, help="folder with train/ and val/")
    pack.add_argument("out", metavar="OUT", type=Path, help="folder for the shards")
    pack.add_argument("--shard-mb", metavar="MB", type=float, default=1000, help="size of a shard (default: 1000)")
    pack.add_argument("--follow-links", action="store_true", help="also pack files that links out of FOLDER point to")
    pack.set_defaults(do=_pack)
    check = commands.add_parser("check", help="read all shards and compare their checksums")
    check.add_argument("directory", metavar="DIR", type=Path, help="folder of the shards, with pack.json")
    check.set_defaults(do=_check)
    return parser

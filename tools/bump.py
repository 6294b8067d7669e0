"""Gives the project a new version: `python tools/bump.py 0.2.0`, or `make bump VERSION=0.2.0`.

Changes src/mimbench/__init__.py, from which the package takes its version, CITATION.cff, and CHANGELOG.md, where the
section "Unreleased" becomes the new version's. All files are changed or none.
"""

import datetime
import re
import sys
from pathlib import Path

VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
CODE, CITATION, CHANGELOG = "src/mimbench/__init__.py", "CITATION.cff", "CHANGELOG.md"


def bump(root: Path, version: str, today: datetime.date) -> None:
    """Writes the files.

    Raises:
        ValueError: The version is invalid or not newer, or nothing is listed as unreleased.
    """
    if not VERSION.fullmatch(version):
        raise ValueError(f"{version!r} is no version; expected such as 0.2.0.")
    texts = {name: (root / name).read_text(encoding="utf-8") for name in (CODE, CITATION, CHANGELOG)}
    old = _only(r'^__version__ = "([^"]+)"$', texts[CODE], CODE)
    if _numbers(version) <= _numbers(old):
        raise ValueError(f"{version} is not newer than {old}.")
    if _only(r"^version: (\S+)$", texts[CITATION], CITATION) != old:
        raise ValueError(f"{CITATION} has another version than {CODE}.")
    if not _only(r"^## \[Unreleased\]\n(.*?)(?=^## \[)", texts[CHANGELOG], CHANGELOG).strip():
        raise ValueError(f"{CHANGELOG} lists nothing under Unreleased; describe what changed.")
    texts[CODE] = texts[CODE].replace(f'__version__ = "{old}"', f'__version__ = "{version}"')
    texts[CITATION] = texts[CITATION].replace(f"version: {old}", f"version: {version}")
    heading = f"## [Unreleased]\n\n## [{version}] - {today.isoformat()}\n"
    texts[CHANGELOG] = texts[CHANGELOG].replace("## [Unreleased]\n", heading, 1)
    parts = {name: root / f"{name}.new" for name in texts}
    try:
        for name, text in texts.items():
            parts[name].write_text(text, encoding="utf-8")
        for name, part in parts.items():
            part.replace(root / name)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def _only(pattern: str, text: str, name: str) -> str:
    found = re.findall(pattern, text, re.MULTILINE | re.DOTALL)
    if len(found) != 1:
        raise ValueError(f"{name} is not as expected: {len(found)} matches of {pattern}.")
    return found[0]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def main(words: list[str]) -> int:
    try:
        [version] = words
    except ValueError:
        print("usage: python tools/bump.py VERSION", file=sys.stderr)
        return 2
    try:
        bump(Path(__file__).parents[1], version, datetime.datetime.now(datetime.UTC).date())
    except (OSError, ValueError) as error:
        print(f"bump: {error}", file=sys.stderr)
        return 2
    print(f"The version is {version}. Next: make test, commit, git tag v{version}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

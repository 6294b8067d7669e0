"""`mimbench completion`: prints a script with which a shell completes commands, groups, options and keys."""

import argparse
from collections.abc import Iterable, Sequence
from importlib import import_module

from mimbench.experiments.composition.errors import CAUSED_BY_USERS
from mimbench.experiments.composition.options import addition, options, public_groups
from mimbench.experiments.config import config_keys

# Each calls `completion SHELL --candidates -- WORDS` for the completions of the last word; if there are none, the shell
# completes files.
# bash splits words at = and :, so it replaces only what follows the last one.
BASH = """\
_mimbench() {
    local line="${COMP_LINE:0:COMP_POINT}" current candidates
    current="${line##*[[:space:]]}"
    local -a words
    read -ra words <<< "$line"
    [[ -z "$current" ]] && words+=("")
    candidates="$("${words[0]}" completion bash --candidates -- "${words[@]:1}" 2>/dev/null)"
    local prefix="${current%"${current##*[=:]}"}"
    COMPREPLY=()
    while IFS= read -r candidate; do
        [[ -n "$candidate" ]] && COMPREPLY+=("${candidate#"$prefix"}")
    done <<< "$candidates"
    case "${COMPREPLY[0]}" in *[=.,]) compopt -o nospace 2>/dev/null ;; esac
}
complete -o default -F _mimbench mimbench
"""
ZSH = """\
_mimbench() {
    local -a candidates
    candidates=("${(@f)$("${words[1]}" completion zsh --candidates -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    candidates=(${candidates:#})
    (( ${#candidates} )) || { _files; return }
    local -a open=(${(M)candidates:#*[=.,]}) whole=(${candidates:#*[=.,]})
    (( ${#open} )) && compadd -Q -S '' -a open
    (( ${#whole} )) && compadd -Q -a whole
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _mimbench mimbench
"""
FISH = """\
function __mimbench_candidates
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found ($words[1] completion fish --candidates -- $words[2..] "$current" 2>/dev/null)
    if test -n "$found"
        printf '%s\\n' $found
    else
        __fish_complete_path "$current"
    end
end
complete -c mimbench -f -a '(__mimbench_candidates)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
_COMPOSING = ("run", "plan", "bench", "evaluate")
_SUBCOMMANDS = {"data": ("pack", "check"), "weights": ("inspect", "import", "export"), "completion": tuple(SCRIPTS)}


def main(argv: Sequence[str]) -> int:
    """Prints the script of a shell, or with `SHELL --candidates -- WORDS` the completions of the last word."""
    if list(argv[1:3]) == ["--candidates", "--"]:
        print("\n".join(candidates(argv[3:])))
        return 0
    print(SCRIPTS[_parser().parse_args(list(argv)).shell], end="")
    return 0


def candidates(words: Sequence[str]) -> list[str]:
    """The completions of the last of the words behind `mimbench`, in alphabetical order."""
    from mimbench.cli import COMMANDS

    *before, current = words or [""]
    if not before:
        return _starting(COMMANDS, current)
    command = before[0]
    if current.startswith("-"):
        return _starting(_flags(command), current)
    if command == "list":
        from mimbench.cli.list import kinds

        return _starting(kinds(), current) if len(before) == 1 else []
    if command in _SUBCOMMANDS:
        return _starting(_SUBCOMMANDS[command], current) if len(before) == 1 else []
    if command not in _COMPOSING:
        return []
    return _values(current) if "=" in current else _keys(before[1:], current)


def _values(current: str) -> list[str]:
    """`method=m` with every option of the group that begins like this; behind a comma, like what follows it."""
    key, _, value = current.partition("=")
    group = key.lstrip("+")
    if group not in public_groups():
        return []
    chosen = value[: max(value.rfind(","), value.rfind("[")) + 1]
    return _starting([f"{key}={chosen}{option}" for option in options(group)], current)


def _keys(before: Sequence[str], current: str) -> list[str]:
    """Groups, and keys up to the next dot."""
    groups = [f"{addition(group)}{group}=" for group in public_groups()]
    try:
        names = config_keys([word for word in before if "=" in word]).names
    except CAUSED_BY_USERS:
        names = []
    whole = [f"{name}=" for name in names if not name.rpartition(".")[2].startswith("_")]
    parts = {_up_to_dot(name, len(current)) for name in whole if name.startswith(current)}
    return _starting([*groups, *parts], current)


def _up_to_dot(name: str, start: int) -> str:
    dot = name.find(".", start)
    return name if dot < 0 else name[: dot + 1]


def _flags(command: str) -> list[str]:
    """The options of a command."""
    if command == "run":
        return ["--help", "--multirun", "--config-dir"]
    try:
        parser = import_module(f"mimbench.cli.{command.replace('-', '_')}")._parser()
    except (ImportError, AttributeError):
        return []
    return [*(flag for action in parser._actions for flag in action.option_strings), "--config-dir"]


def _starting(names: Iterable[str], current: str) -> list[str]:
    return sorted({name for name in names if name.startswith(current)})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mimbench completion",
        description='Prints a completion script. Add the line eval "$(mimbench completion bash)" to ~/.bashrc, '
        'eval "$(mimbench completion zsh)" to ~/.zshrc, or mimbench completion fish | source to '
        "~/.config/fish/config.fish.",
        allow_abbrev=False,
    )
    parser.add_argument("shell", choices=tuple(SCRIPTS), help="the shell")
    return parser

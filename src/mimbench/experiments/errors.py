"""Error messages of Hydra and OmegaConf in one sentence."""

import difflib
import re
from collections.abc import Iterable

from hydra.errors import ConfigCompositionException, HydraException, InstantiationException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from mimbench.core.errors import nearest

# Errors caused by command lines and configurations; all others keep their traceback.
CAUSED_BY_USERS = (HydraException, OmegaConfBaseException)


def explain(error: BaseException, keys: Iterable[str]) -> str:
    """A one-sentence message for an error of Hydra or OmegaConf.

    Args:
        keys: All valid dotted keys, for hints.
    """
    if isinstance(error, MissingConfigException) and error.options:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return f"{group} has no option '{option}'.{nearest(option, error.options)} Valid: {', '.join(error.options)}."
    text = _first_line(error)
    unknown = re.search(r"Could not (?:override|find match for) '([^']+)'", text)
    if isinstance(error, ConfigCompositionException) and unknown:
        key = unknown[1].split("@")[0]
        return f"There is no key '{key}'.{_near_keys(key, keys)} A new key is added with +{key}=..."
    if text.startswith("Ambiguous value"):
        return f"{text}: add -m to sweep over the values, or write [a,b] for a list."
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return str(error.__cause__)
    return text


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _near_keys(key: str, keys: Iterable[str]) -> str:
    known = list(keys)
    hint = nearest(key, known)
    if hint:
        return hint
    leaf = key.rsplit(".", 1)[-1]
    leaves = {k.rsplit(".", 1)[-1]: k for k in known}
    close = difflib.get_close_matches(leaf, leaves, n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(leaves[c] for c in close)}?" if close else ""

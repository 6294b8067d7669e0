"""Error messages of Hydra and OmegaConf in one sentence."""

import re

from hydra.errors import ConfigCompositionException, HydraException, InstantiationException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from mimbench.core.errors import nearest
from mimbench.experiments.composition.hints import Keys

# Errors caused by command lines and configurations; all others keep their traceback.
CAUSED_BY_USERS = (HydraException, OmegaConfBaseException)


def explain(error: BaseException, keys: Keys) -> str:
    """A one-sentence message for an error of Hydra or OmegaConf.

    Args:
        keys: What the command accepts, for hints.
    """
    if isinstance(error, MissingConfigException):
        missing = re.search(r"Could not load '([^']+)'", str(error))
        group, _, option = (missing[1] if missing else str(error.missing_cfg_file)).rpartition("/")
        if options := error.options or keys.groups.get(group):
            return f"{group} has no option '{option}'.{nearest(option, options)} Valid: {', '.join(options)}."
    text = _first_line(error)
    unknown = re.search(r"Could not (?:override|find match for) '([^']+)'", text)
    if isinstance(error, ConfigCompositionException) and unknown:
        return keys.unknown(unknown[1].split("@")[0])
    if text.startswith("Ambiguous value"):
        key = text.partition("'")[2].partition("=")[0]
        if keys.is_unknown(key):
            return keys.unknown(key)
        return f"{text}: add -m to sweep over the values, or write [a,b] for a list."
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return str(error.__cause__)
    return text


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__

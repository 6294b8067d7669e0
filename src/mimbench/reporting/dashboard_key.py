"""Whether W&B can be reached with a key."""

import netrc
import os
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from wandb.sdk import wandb_setup


def server() -> str:
    """The address of W&B's server, or of one's own."""
    return os.environ.get("WANDB_BASE_URL") or wandb_setup.singleton().settings.base_url


def has_key() -> bool:
    """Whether a key for the server is known: from the environment, `wandb.login` or ~/.netrc."""
    if any(os.environ.get(word) for word in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")):
        return True
    return bool(wandb_setup.singleton().settings.api_key) or _in_netrc()


def silence(timeout: float = 10.0) -> str:
    """Why the server does not answer; empty if it does."""
    try:
        urllib.request.urlopen(server(), timeout=timeout).close()
    except urllib.error.HTTPError:
        return ""  # somebody is there
    except (OSError, ValueError) as error:
        return f"{server()} does not answer ({getattr(error, 'reason', error)})"
    return ""


def _in_netrc() -> bool:
    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        return netrc.netrc(path).authenticators(urlsplit(server()).netloc) is not None
    except (OSError, netrc.NetrcParseError):
        return False

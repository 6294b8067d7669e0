"""Access to W&B: API key and server."""

import netrc
import os
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from wandb.sdk import wandb_setup


def server_url() -> str:
    """The address of the public or a self-hosted W&B server."""
    return os.environ.get("WANDB_BASE_URL") or wandb_setup.singleton().settings.base_url


def has_key() -> bool:
    """Whether there is an API key for the server: in the environment, from `wandb login` or in ~/.netrc."""
    if any(os.environ.get(name) for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")):
        return True
    return bool(wandb_setup.singleton().settings.api_key) or _in_netrc()


def connection_error(timeout: float = 10.0) -> str:
    """Why the server does not respond within `timeout` seconds; empty if it does."""
    try:
        urllib.request.urlopen(server_url(), timeout=timeout).close()
    except urllib.error.HTTPError:
        return ""  # the server responded
    except (OSError, ValueError) as error:
        return f"{server_url()} does not answer ({getattr(error, 'reason', error)})"
    return ""


def access_error(timeout: float = 10.0) -> str:
    """Why nothing can be uploaded now, and what to do; empty if uploads are possible."""
    if not has_key():
        return "there is no API key. Set WANDB_API_KEY or run `wandb login`."
    reason = connection_error(timeout)
    return f"{reason}. Call again when it does." if reason else ""


def _in_netrc() -> bool:
    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        return netrc.netrc(path).authenticators(urlsplit(server_url()).netloc) is not None
    except (OSError, netrc.NetrcParseError):
        return False

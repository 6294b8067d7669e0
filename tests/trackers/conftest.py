"""A stub of the W&B server, and an environment in which W&B's client uses it."""

import importlib.util
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import wandb

with warnings.catch_warnings():  # the import uses deprecated features of pydantic
    warnings.simplefilter("ignore")
    import wandb_workspaces.reports.v2
    import wandb_workspaces.workspaces  # noqa: F401


def _stub() -> ModuleType:
    """The module `wandb_stub`, loaded from its path because test folders are not packages."""
    specification = importlib.util.spec_from_file_location("wandb_stub", Path(__file__).with_name("wandb_stub.py"))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["wandb_stub"] = module
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The stub; the environment of the client contains its address and a key."""
    with _stub().serving() as state:
        for name in ("WANDB_MODE", "WANDB_PROJECT", "WANDB_ENTITY", "WANDB_IDENTITY_TOKEN_FILE"):
            monkeypatch.delenv(name, raising=False)
        for name in ("CONFIG", "CACHE", "DATA", "ARTIFACT"):
            monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / "client"))
        monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
        monkeypatch.setenv("WANDB_BASE_URL", state.url)
        monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
        monkeypatch.setenv("WANDB_SILENT", "true")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.chdir(tmp_path)
        wandb.teardown()  # the client caches its settings
        yield state
        wandb.teardown()


@pytest.fixture
def no_key(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes the API key."""
    monkeypatch.delenv("WANDB_API_KEY")
    wandb.teardown()

"""Lightning and timm without what they import beside themselves and no run uses: two of six seconds."""

import logging
import sys
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

# Lightning wants two classes of torchmetrics; the package imports a hundred metrics with SciPy and transformers.
_WANTED = {"Metric": "torchmetrics.metric", "MetricCollection": "torchmetrics.collections"}


def import_lean() -> None:
    """Imports timm, and prepares for Lightning's import; without effect on what has been imported before.

    Nothing is lost: torchmetrics is whole as soon as more of it is asked for, and timm lacks wandb only where it writes
    the summaries of its own training script.
    """
    if "torchmetrics" not in sys.modules and find_spec("torchmetrics") is not None:
        try:
            _import_part_of_torchmetrics()
        except (ImportError, AttributeError):  # another version, arranged otherwise
            for name in [name for name in sys.modules if name.partition(".")[0] == "torchmetrics"]:
                del sys.modules[name]
    if "timm" not in sys.modules and "wandb" not in sys.modules:
        sys.modules["wandb"] = None  # pyright: ignore[reportArgumentType]  # Python's way to say "not there"
        try:
            import_module("timm")
        finally:
            del sys.modules["wandb"]


def _import_part_of_torchmetrics() -> None:
    spec = find_spec("torchmetrics")
    assert spec is not None
    module: Any = module_from_spec(spec)
    module.__version__ = version("torchmetrics")
    module._logger = logging.getLogger("torchmetrics")  # its modules ask for it when they are imported
    sys.modules["torchmetrics"] = module
    import_module("torchmetrics.utilities")  # first, since the others import each other through it
    for name, place in _WANTED.items():
        setattr(module, name, getattr(import_module(place), name))
    module.__class__ = _Part


class _Part(ModuleType):
    """A package that is run when more is asked of it than it has."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        assert self.__spec__ is not None
        assert self.__spec__.loader is not None
        self.__class__ = ModuleType  # pyright: ignore[reportAttributeAccessIssue]  # Python allows it of modules
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)

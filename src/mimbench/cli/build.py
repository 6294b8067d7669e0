"""Turns configurations into objects; the only place that does."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning.fabric.utilities.exceptions import MisconfigurationException
from safetensors.torch import load_file

from mimbench.cli.mistakes import Mistake
from mimbench.core import mix
from mimbench.data import ImageDataModule
from mimbench.encoders import Encoder
from mimbench.methods import Method
from mimbench.weights.store import ENCODER, METHOD, load_method

# Keys that name a choice or belong to others, and are no constructor's argument.
_NOT_ARGUMENTS = {"data": ("name", "patch_size"), "encoder": ("name",), "method": ("name",)}
_NOT_THE_RECIPES = ("batch_size", "ema")


@dataclass(frozen=True)
class Parts:
    """What a run consists of; no method means that the encoder is evaluated as it is."""

    data: ImageDataModule
    encoder: Encoder
    method: Method | None


def build(config: Mapping[str, Any]) -> Parts:
    """Data, encoder and method of a resolved configuration; all weights follow from the seed.

    The encoder is drawn first, so that every method starts from the same one.

    Raises:
        Mistake: The parts do not fit together, or the data is not as it should be.
    """
    with _mistakes():
        _check_scalars(config)
        data = instantiate(_arguments(config, "data"))
        data.prepare_data()
        data.setup("fit" if config["method"]["_target_"] else None)
        L.Trainer(**trainer_options(config), logger=False, enable_checkpointing=False)  # refuses what it cannot do
        encoder, method = build_model(config)
        if config["weights"] is not None:
            _start_from(Path(config["weights"]), encoder, method)
        return Parts(data, encoder, method)


def _start_from(directory: Path, encoder: Encoder, method: Method | None) -> None:
    """Loads encoder and decoders where both are there, else the encoder; strictly."""
    if method is not None and (directory / METHOD).is_file():
        load_method(directory, method)
        return
    if not (directory / ENCODER).is_file():
        raise ValueError(
            f"weights={directory} holds no {ENCODER}; give a run, or what `mimbench weights import` wrote."
        )
    try:
        encoder.trunk.load_state_dict(load_file(directory / ENCODER))
    except RuntimeError as error:
        raise ValueError(f"weights={directory} belongs to another encoder: {error}") from error


def trainer_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """What Lightning's Trainer is told."""
    return {k: v for k, v in config["trainer"].items() if k not in ("compile", "grad_checkpointing")}


def build_model(config: Mapping[str, Any]) -> tuple[Encoder, Method | None]:
    """Encoder and method alone, on PyTorch's current default device."""
    torch.manual_seed(mix(config["seed"], 0))
    encoder: Encoder = instantiate(_arguments(config, "encoder"))
    if config["method"]["_target_"] is None:
        return encoder, None
    torch.manual_seed(mix(config["seed"], 1))
    masker, target = instantiate(config["masker"]), instantiate(config["target"])
    method: Method = instantiate(_arguments(config, "method"), encoder=encoder, masker=masker, target=target)
    recipe = {key: value for key, value in config["optim"].items() if key not in _NOT_THE_RECIPES}
    method.recipe, method.seed = instantiate(recipe), config["seed"]
    if config["trainer"]["grad_checkpointing"]:
        encoder.set_grad_checkpointing()
    return encoder, method


def inspect(config: Mapping[str, Any]) -> tuple[int, str | None]:
    """Depth of the encoder, and why the combination cannot exist, or None.

    Builds on the meta device, without data, downloads or memory.
    """
    depth = config["encoder"].get("depth")
    depth = depth if isinstance(depth, int) else 0
    try:
        with _mistakes(), torch.device("meta"):
            _check_scalars(config)
            encoder, _ = build_model(_replaced(config, "pretrained", False))
            return encoder.depth, None
    except Mistake as mistake:
        return depth, str(mistake)


def _check_scalars(config: Mapping[str, Any]) -> None:
    if type(config["seed"]) is not int:
        raise ValueError(f"seed must be a whole number, got {config['seed']!r}.")
    given = {key: value for key, value in config["budget"].items() if value is not None}
    if len(given) != 1 or not all(type(v) is int and v > 0 for v in given.values()):
        raise ValueError(
            f"A budget is a positive number of epochs or of steps, the other null; got {dict(config['budget'])}."
        )


def _arguments(config: Mapping[str, Any], group: str) -> dict[str, Any]:
    return {key: value for key, value in config[group].items() if key not in _NOT_ARGUMENTS[group]}


def _replaced(tree: Any, key: str, value: Any) -> Any:
    if not isinstance(tree, Mapping):
        return tree
    return {k: value if k == key else _replaced(v, key, value) for k, v in tree.items()}


@contextmanager
def _mistakes() -> Iterator[None]:
    """Before anything is trained or written, a refused argument is the user's to mend."""
    try:
        yield
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, (ValueError, TypeError, ImportError, OSError)):
            raise Mistake(_sentence(cause)) from error
        raise
    except (ValueError, OSError, MisconfigurationException) as error:
        raise Mistake(_sentence(error)) from error


def _sentence(error: BaseException) -> str:
    return str(error).replace("\n", " ").strip() or type(error).__name__

"""Turns configurations into objects; the only place that does."""

import os
import traceback
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

from mimbench.cli.limits import budget_of, limits
from mimbench.cli.mistakes import Mistake
from mimbench.core import mix
from mimbench.data import ImageDataModule
from mimbench.encoders import Encoder
from mimbench.evaluation import Protocol
from mimbench.methods import Method
from mimbench.training import Cost, measure_cost
from mimbench.training.cluster import check_tasks, cluster_environment, fsdp2
from mimbench.weights.store import METHOD, load_encoder, load_method

# Keys that name a choice or belong to others, and are no constructor's argument; `unread` lists more of the latter.
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
        _check_the_rest(config)
        check_tasks(config["trainer"]["devices"], config["trainer"]["num_nodes"])
        data = instantiate(_arguments(config, "data"))
        data.prepare_data()
        data.setup("fit" if config["method"]["_target_"] else None)
        quiet = {"logger": False, "enable_checkpointing": False, "plugins": [cluster_environment()]}
        L.Trainer(**trainer_options(config), **quiet)  # refuses what it cannot do
        encoder, method = build_model(config)
        if method is not None:
            limits(config, method, data)  # refuses a budget of less than a step
        if config["weights"] is not None:
            _start_from(Path(config["weights"]), encoder, method)
        return Parts(data, encoder, method)


def _start_from(directory: Path, encoder: Encoder, method: Method | None) -> None:
    """Loads encoder and decoders where both are there, else the encoder; strictly."""
    if method is not None and (directory / METHOD).is_file():
        load_method(directory, method)
        return
    load_encoder(directory, encoder, adapt=method is None)


def trainer_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """What Lightning's Trainer is told.

    Raises:
        ValueError: Sharding over one device, or of a moving average.
    """
    options = {k: v for k, v in config["trainer"].items() if k not in ("compile", "grad_checkpointing")}
    if sharded(config):
        if config["optim"]["ema"]:
            raise ValueError("trainer.strategy=fsdp2 keeps no moving average; set optim.ema=null or use ddp.")
        options["strategy"] = fsdp2(options["devices"], options["num_nodes"], options["accelerator"])
    return options


def evaluation_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Likewise for what evaluation trains: whole on every device, for it has no decoders and may keep an average."""
    if not sharded(config):
        return trainer_options(config)
    return trainer_options({**config, "trainer": {**config["trainer"], "strategy": "auto"}})


def sharded(config: Mapping[str, Any]) -> bool:
    """Whether training shards the weights over the devices."""
    return config["trainer"]["strategy"] == "fsdp2"


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


def bare_encoder(config: Mapping[str, Any]) -> Encoder:
    """The encoder of a run's configuration, on its way to other weights.

    Raises:
        Mistake: It cannot be built.
    """
    with _mistakes():
        return instantiate(_arguments(_replaced(config, "pretrained", False), "encoder"))


def data_of(data: Mapping[str, Any]) -> Any:
    """The datamodule of a data configuration.

    Raises:
        Mistake: The data is not as it should be.
    """
    with _mistakes():
        datamodule = instantiate(_arguments({"data": data}, "data"))
        datamodule.prepare_data()
        return datamodule


def protocols_of(config: Mapping[str, Any]) -> list[Protocol]:
    """The protocols of a configuration; ValueError or TypeError for one that cannot be."""
    return [instantiate(entry, _convert_="all") for entry in (config.get("protocol") or {}).values()]


def check_protocols(config: Mapping[str, Any], data: Any) -> None:
    """Asks the protocols of a configuration whether they can read these data.

    Raises:
        Mistake: One cannot; nothing was trained.
    """
    with _mistakes():
        for protocol in protocols_of(config):
            protocol.check(data)


def cost_of(method: Method, image_size: int) -> Cost:
    """What a step of a method costs, found by doing one without data.

    Raises:
        Mistake: It cannot be done: parts that were built do not work together.
    """
    try:
        return measure_cost(method, image_size)
    except (ValueError, RuntimeError, TypeError, IndexError, ArithmeticError, AssertionError) as error:
        # The last place that is ours or the user's, and no library's.
        places = reversed(traceback.extract_tb(error.__traceback__))
        place = next(
            p for p in places if "site-packages" not in p.filename or f"packages{os.sep}mimbench" in p.filename
        )
        raise Mistake(
            f"These parts do not work together on pictures of {image_size} px: {_sentence(error)} "
            f"({Path(place.filename).name}, line {place.lineno})"
        ) from error


def method_of(config: Mapping[str, Any]) -> Method:
    """The method of a run that has one, as it starts.

    Raises:
        Mistake: The parts do not fit together, or weights of a teacher are missing.
    """
    with _mistakes():
        _, method = build_model(config)
        assert method is not None
        return method


def inspect(config: Mapping[str, Any]) -> tuple[int, str | None]:
    """Depth of the encoder, and why the combination cannot exist, or None.

    Builds on the meta device, without data, downloads or memory.
    """
    depth = config["encoder"].get("depth")
    depth = depth if isinstance(depth, int) else 0
    try:
        return outline(config)[0].depth, None
    except Mistake as mistake:
        return depth, str(mistake)


def outline(config: Mapping[str, Any]) -> tuple[Encoder, Method | None]:
    """Encoder and method on the meta device: shapes without data, downloads or memory.

    Raises:
        Mistake: The parts do not fit together.
    """
    with _mistakes(), torch.device("meta"):
        _check_the_rest(config)
        return build_model(_replaced(config, "pretrained", False))


def _check_the_rest(config: Mapping[str, Any]) -> None:
    if type(config["seed"]) is not int:
        raise ValueError(f"seed must be a whole number, got {config['seed']!r}.")
    budget_of(config)
    trainer_options(config)  # refuses what cannot be sharded
    protocols_of(config)  # refuses now what else would be refused after hours of training


def _arguments(config: Mapping[str, Any], group: str) -> dict[str, Any]:
    skipped = {*_NOT_ARGUMENTS[group], "unread", *config[group].get("unread", ())}
    return {key: value for key, value in config[group].items() if key not in skipped}


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

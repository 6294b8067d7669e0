"""Builds data, encoder, method and protocols from configurations."""

import os
import re
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

from mimbench.core import mix
from mimbench.core.errors import UserError
from mimbench.data import ImageDataModule
from mimbench.encoders import Encoder
from mimbench.evaluation import Protocol
from mimbench.experiments.budget import pretrain_limits, read_budget
from mimbench.methods import Method
from mimbench.training import Cost, measure_cost
from mimbench.training.cluster import check_batch, check_tasks, cluster_environment, fsdp2
from mimbench.weights.store import METHOD, load_encoder, load_method

# Keys that are not constructor arguments: names of options, and keys read elsewhere; `unread` lists more of them.
_NOT_ARGUMENTS = {"data": ("name", "patch_size"), "encoder": ("name",), "method": ("name",)}
_NOT_RECIPE_ARGUMENTS = ("batch_size", "ema")


@dataclass(frozen=True)
class Parts:
    """The parts of a run. Without a method, the encoder is evaluated untrained."""

    data: ImageDataModule
    encoder: Encoder
    method: Method | None


def build(config: Mapping[str, Any]) -> Parts:
    """Data, encoder and method of a resolved configuration; the seed determines all weights.

    The encoder is initialized first, so that all methods start from equal encoders.

    Raises:
        UserError: The parts do not fit together, or the data are missing or invalid.
    """
    with _as_user_errors():
        _check_values(config)
        check_tasks(config["trainer"]["devices"], config["trainer"]["num_nodes"])
        data = instantiate(_arguments(config, "data"))
        data.prepare_data()
        data.setup("fit" if config["method"]["_target_"] else None)
        _check_trainer(trainer_options(config))
        encoder, method = build_model(config)
        if method is not None:
            _check_average(config, method)
            pretrain_limits(config, method, data)  # rejects a budget of less than one step
        if config["weights"] is not None:
            _load_weights(Path(config["weights"]), encoder, method)
        return Parts(data, encoder, method)


def _check_trainer(options: Mapping[str, Any]) -> None:
    """Raises ValueError for combinations that Lightning's Trainer rejects."""
    try:
        L.Trainer(**options, logger=False, enable_checkpointing=False, plugins=[cluster_environment()])
    except TypeError as error:
        raise ValueError(str(error)) from error


def _load_weights(directory: Path, encoder: Encoder, method: Method | None) -> None:
    """Loads encoder and decoders if the directory contains both, otherwise the encoder; strictly."""
    if method is not None and (directory / METHOD).is_file():
        load_method(directory, method)
        return
    load_encoder(directory, encoder, adapt=method is None)
    if method is not None:
        method.start_from_encoder()


def _check_average(config: Mapping[str, Any], method: Method) -> None:
    """Raises ValueError for what does not work together with a moving average of the method."""
    if not method.keeps_average:
        return
    if is_sharded(config):
        raise ValueError(f"{type(method).__name__}'s moving average is not sharded; use trainer.strategy=ddp.")
    if config["optim"]["ema"]:
        raise ValueError(f"{type(method).__name__} has a moving average of its own; set optim.ema=null.")


def trainer_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of Lightning's Trainer.

    Raises:
        ValueError: Sharding is combined with a single device or a moving average.
    """
    options = {k: v for k, v in config["trainer"].items() if k not in ("compile", "grad_checkpointing")}
    if is_sharded(config):
        if config["optim"]["ema"]:
            raise ValueError(
                "trainer.strategy=fsdp2 keeps no moving average; set optim.ema=null or trainer.strategy=ddp."
            )
        options["strategy"] = fsdp2(options["devices"], options["num_nodes"], options["accelerator"])
    return options


def evaluation_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the Trainer of evaluations, which do not shard: they train no decoders and may keep an average."""
    if not is_sharded(config):
        return trainer_options(config)
    return trainer_options({**config, "trainer": {**config["trainer"], "strategy": "auto"}})


def is_sharded(config: Mapping[str, Any]) -> bool:
    """Whether training shards the weights over the devices."""
    return config["trainer"]["strategy"] == "fsdp2"


def build_model(config: Mapping[str, Any]) -> tuple[Encoder, Method | None]:
    """Encoder and method, on PyTorch's current default device."""
    torch.manual_seed(mix(config["seed"], 0))
    encoder: Encoder = instantiate(_arguments(config, "encoder"))
    if config["method"]["_target_"] is None:
        return encoder, None
    torch.manual_seed(mix(config["seed"], 1))
    masker, target = instantiate(config["masker"]), instantiate(config["target"])
    method: Method = instantiate(_arguments(config, "method"), encoder=encoder, masker=masker, target=target)
    recipe = {key: value for key, value in config["optim"].items() if key not in _NOT_RECIPE_ARGUMENTS}
    method.recipe, method.seed = instantiate(recipe), config["seed"]
    if config["trainer"]["grad_checkpointing"]:
        encoder.set_grad_checkpointing()
    return encoder, method


def build_encoder(config: Mapping[str, Any]) -> Encoder:
    """The encoder of a configuration without pretrained weights; the caller loads others.

    Raises:
        UserError: The encoder cannot be built.
    """
    with _as_user_errors():
        return instantiate(_arguments(_replace(config, "pretrained", False), "encoder"))


def build_data(data: Mapping[str, Any]) -> Any:
    """The datamodule of a data configuration.

    Raises:
        UserError: The data are missing or invalid.
    """
    with _as_user_errors():
        datamodule = instantiate(_arguments({"data": data}, "data"))
        datamodule.prepare_data()
        return datamodule


def build_protocols(config: Mapping[str, Any]) -> list[Protocol]:
    """The protocols of a configuration.

    Raises:
        ValueError, TypeError: An argument is not valid.
    """
    return [instantiate(entry, _convert_="all") for entry in (config.get("protocol") or {}).values()]


def check_protocols(config: Mapping[str, Any], data: Any) -> None:
    """Checks before training that the protocols of a configuration can evaluate on these data.

    Raises:
        UserError: One cannot.
    """
    with _as_user_errors():
        for protocol in build_protocols(config):
            protocol.check(data)


def measure_step_cost(method: Method, image_size: int) -> Cost:
    """Cost of a training step of a method, measured with one forward pass of an empty image.

    Raises:
        UserError: The step fails because the parts do not work together.
    """
    try:
        return measure_cost(method, image_size)
    except (ValueError, RuntimeError, TypeError, IndexError, ArithmeticError, AssertionError) as error:
        # The innermost frame in mimbench or the user's code, not in a library.
        frames = reversed(traceback.extract_tb(error.__traceback__))
        frame = next(
            f for f in frames if "site-packages" not in f.filename or f"packages{os.sep}mimbench" in f.filename
        )
        raise UserError(
            f"These parts do not work together on images of {image_size} px: {sentence(error)} "
            f"({Path(frame.filename).name}, line {frame.lineno})"
        ) from error


def build_method(config: Mapping[str, Any]) -> Method:
    """The method of a configuration with initial weights; the configuration must have a method.

    Raises:
        UserError: The parts do not fit together, or weights of a teacher are missing.
    """
    with _as_user_errors():
        _, method = build_model(config)
        assert method is not None
        return method


def check_parts(config: Mapping[str, Any]) -> tuple[int, str | None]:
    """Depth of the encoder, and why the parts do not fit together; None if they do.

    Builds on the meta device: without data, downloads or memory for weights.
    """
    depth = config["encoder"].get("depth")
    depth = depth if isinstance(depth, int) else 0
    try:
        return build_on_meta(config)[0].depth, None
    except UserError as error:
        return depth, str(error)


def build_on_meta(config: Mapping[str, Any]) -> tuple[Encoder, Method | None]:
    """Encoder and method on the meta device: without data, downloads or memory for weights.

    Raises:
        UserError: The parts do not fit together.
    """
    with _as_user_errors(), torch.device("meta"):
        _check_values(config)
        return build_model(_replace(config, "pretrained", False))


def _check_values(config: Mapping[str, Any]) -> None:
    if type(config["seed"]) is not int:
        raise ValueError(f"seed is {config['seed']!r}; it must be a whole number.")
    data, trainer = config["data"], config["trainer"]
    for name in ("image_size", "patch_size"):
        if (size := data.get(name)) is not None and (type(size) is not int or size < 1):
            raise ValueError(
                f"data.{name} is {size!r}; images and patches are square, so it must be one whole number of pixels."
            )
    if (channels := config["encoder"].get("in_channels", 3)) != 3:
        raise ValueError(
            f"encoder.in_channels is {channels!r}; images are read with three colors, gray ones too, so leave it out."
        )
    read_budget(config)
    if type(batch_size := data.get("batch_size")) is int and batch_size > 0:  # others: see ImageDataModule
        check_batch(batch_size, trainer["devices"], trainer["num_nodes"], trainer["accumulate_grad_batches"])
    trainer_options(config)  # rejects invalid sharding
    build_protocols(config)  # rejects invalid arguments now instead of after training


def _arguments(config: Mapping[str, Any], group: str) -> dict[str, Any]:
    skipped = {*_NOT_ARGUMENTS[group], "unread", *config[group].get("unread", ())}
    return {key: value for key, value in config[group].items() if key not in skipped}


def _replace(tree: Any, key: str, value: Any) -> Any:
    if not isinstance(tree, Mapping):
        return tree
    return {k: value if k == key else _replace(v, key, value) for k, v in tree.items()}


@contextmanager
def _as_user_errors() -> Iterator[None]:
    """Turns errors of constructors into UserError; used before anything is trained or written."""
    try:
        yield
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, (ValueError, TypeError, ImportError, OSError)):
            raise UserError(sentence(cause)) from error
        raise
    except (ValueError, OSError, MisconfigurationException) as error:
        raise UserError(sentence(error)) from error


_UNKNOWN_ARGUMENT = re.compile(r"(?:(\w+)(?:\.__init__)?\(\) )?got an unexpected keyword argument '(\w+)'")


def sentence(error: BaseException) -> str:
    """The message of a constructor's error on one line; for an argument that it lacks, with what to do."""
    if isinstance(error, TypeError) and (found := _UNKNOWN_ARGUMENT.search(str(error))):
        return f"{found[1] or 'The class'} has no argument '{found[2]}'; leave it out, or choose an option that has it."
    return str(error).replace("\n", " ").strip() or type(error).__name__

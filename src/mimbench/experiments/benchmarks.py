"""The benchmarks of `mimbench bench`; methods are configured by overrides as for `mimbench run`."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch

from mimbench.benchmarking import (
    DTYPES,
    Counts,
    MethodStep,
    Setting,
    TransformersProcess,
    TransformersStep,
    compare,
    compare_compiled,
    compare_loading,
    compare_memory,
    count_step,
    describe_machine,
    fastest_batch,
    measure_startup,
    transformers_sizes,
)
from mimbench.core.errors import UserError
from mimbench.experiments.build import build_data, build_model, build_on_meta
from mimbench.experiments.composition.compose import composer
from mimbench.experiments.config import resolve
from mimbench.methods import MAE, Method
from mimbench.training.allocation import keep_freed_memory
from mimbench.training.compilation import compile_blocks

VIT = ["method=mae,deepmim,localmim,mirl", "encoder=vit_small", "data.image_size=224", "data.patch_size=16"]
SWIN = ["method=mae,localmim", "encoder=swin_tiny", "masker=shared", "data.image_size=224", "data.patch_size=4"]
DEMO = ["experiment=demo", "data=photos,digits", "method=mae,localmim"]
# On a GPU, the papers' models: methods on ViT-B, MAE on ViT-L, and MIRL's deep encoders beside MAE on ViT-B.
BASE = ["experiment=mae_vit_base_1600,deepmim_vit_base_pixel_1600,localmim_vit_base_1600", "trainer.compile=true"]
LARGE = ["experiment=mae_vit_large_1600", "trainer.compile=true"]
DEEP = ["experiment=mae_vit_base_1600,mirl_vit_s54_300,mirl_vit_b48_300", "trainer.compile=true"]
# Models in the stored file of operation counts: the demo's and the papers'.
COUNTED = (
    ["experiment=demo", "data=photos", "method=mae,deepmim,localmim,mirl"],
    ["method=mae,deepmim,localmim,mirl", "encoder=vit_base", "data.image_size=224", "data.patch_size=16"],
    ["method=localmim", "encoder=swin_tiny", "masker=shared", "data.image_size=224", "data.patch_size=4"],
)


def step(arguments: argparse.Namespace, overrides: Sequence[str]) -> dict[str, Any]:
    """Training steps, measured alternately."""
    configs = training_configs(overrides or VIT)
    setting = _setting(arguments, configs)
    baselines = _baselines(arguments, configs[0], setting)
    steps, counts = build_steps(configs, setting)
    options = {"--transformers": bool(baselines), f"--batch {arguments.batch}": arguments.batch is not None}
    shown = [*(option for option, given in options.items() if given), *(overrides or VIT)]
    about = _describe(setting, shown) | ({"transformers": version("transformers")} if baselines else {})
    return about | compare(steps, counts, setting, arguments.rounds, baselines)


def data(arguments: argparse.Namespace, overrides: Sequence[str]) -> dict[str, Any]:
    """The data loader compared with the training step, on real data."""
    rows, device = [], _device(arguments)
    for config in training_configs(overrides or DEMO):
        size = arguments.batch or config["optim"]["batch_size"]
        setting = Setting(device, size, config["trainer"]["precision"])
        module = build_data(config["data"] | {"batch_size": size})
        module.setup("fit")
        step_of_config = MethodStep(_build(config), _image_size(config), setting)
        rows.append({"name": _name(config), "data": config["data"]["name"]})
        rows[-1] |= compare_loading(module, step_of_config, arguments.rounds)
    return _with_wall_clock(_describe(Setting(device, 1), overrides or DEMO)) | {"rows": rows}


def startup(arguments: argparse.Namespace, overrides: Sequence[str]) -> dict[str, Any]:
    """Start of whole processes."""
    if overrides:
        raise UserError("bench startup always starts the same run; leave out the overrides.")
    about = _describe(Setting(torch.device("cpu"), 1), [])
    return _with_wall_clock(about) | measure_startup(arguments.rounds)


def counts(arguments: argparse.Namespace, overrides: Sequence[str]) -> dict[str, Any]:
    """Operations per step; equal on all machines."""
    rows = {}
    for group in [list(overrides)] if overrides else COUNTED:
        for config in training_configs(group):
            count = asdict(count_step(_build_on_meta(config), _image_size(config)))
            rows[f"{_name(config)}, {_image_size(config)} px"] = count
    return {"kind": "counts", "rows": rows}


def compile_(arguments: argparse.Namespace, overrides: Sequence[str]) -> dict[str, Any]:
    """Compiled compared with eager."""
    overrides = overrides or ["experiment=demo", "method=mae", "data=photos", "encoder.depth=12"]
    configs = training_configs(overrides)
    setting = _setting(arguments, configs)

    def make(config: Mapping[str, Any]) -> MethodStep:
        return MethodStep(_build(_without_compilation(config)), _image_size(config), setting)

    rows = [{"name": _name(c)} | compare_compiled(make(c), make(c), arguments.rounds) for c in configs]
    return _describe(setting, overrides) | {"batch": setting.batch, "precision": setting.precision, "rows": rows}


def memory(arguments: argparse.Namespace, overrides: Sequence[str]) -> dict[str, Any]:
    """Peak memory with and without gradient checkpointing."""
    device = _device(arguments)
    if device.type != "cuda":
        raise UserError(
            "bench memory reads the allocator of a GPU, and PyTorch sees none here; use bench step, which reports the "
            "memory of tensors."
        )
    overrides = overrides or DEEP[:1]
    rows, size = [], arguments.batch or 64
    for config in training_configs(overrides):
        setting = Setting(device, size, config["trainer"]["precision"])
        rows.append({"name": _name(config)} | compare_memory(_build(config), _image_size(config), setting))
    return _describe(Setting(device, size), overrides) | {"batch": size, "rows": rows}


KINDS = {"step": step, "data": data, "startup": startup, "counts": counts, "compile": compile_, "memory": memory}


def suite(arguments: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the results shown in docs/about/benchmarks.md, each with its name."""
    without_transformers = argparse.Namespace(**vars(arguments) | {"transformers": False})
    with_transformers = argparse.Namespace(**vars(arguments) | {"transformers": True})
    if _device(arguments).type == "cuda":
        yield "step_base", step(with_transformers, BASE)
        yield "step_large", step(without_transformers, LARGE)
        yield "step_deep", step(without_transformers, DEEP)
        yield "memory_base", memory(without_transformers, BASE[:1])
        yield "memory_deep", memory(without_transformers, DEEP[:1])
        yield "compile_deep", compile_(without_transformers, DEEP[:1])
        return
    yield "step_vit", step(with_transformers, VIT)
    yield "step_swin", step(without_transformers, SWIN)
    yield "data", data(without_transformers, DEMO)
    yield "startup", startup(without_transformers, [])
    yield "counts", counts(without_transformers, [])


def training_configs(overrides: Sequence[str]) -> list[dict[str, Any]]:
    """The configurations of the runs that train; raises UserError if there are none."""
    with composer(overrides) as hydra:
        configs = [resolve(config) for config in hydra.configs(hydra.jobs())]
    trained = [config for config in configs if config["method"]["_target_"] is not None]
    if not trained:
        raise UserError("method=untrained has no training step; choose a method that trains.")
    return trained


def build_steps(
    configs: Sequence[Mapping[str, Any]], setting: Setting
) -> tuple[dict[str, MethodStep], dict[str, Counts]]:
    """The training steps of runs and their operations, by names such as `mae vit_base depth 12`."""
    counts = {_name(config): count_step(_build_on_meta(config), _image_size(config)) for config in configs}
    steps = {_name(config): MethodStep(_build(config), _image_size(config), setting) for config in configs}
    return steps, counts


def _name(config: Mapping[str, Any]) -> str:
    encoder = config["encoder"]
    depth = f" depth {encoder['depth']}" if isinstance(encoder.get("depth"), int) else ""
    return f"{config['method']['name']} {encoder['name']}{depth}"


def _image_size(config: Mapping[str, Any]) -> int:
    return config["data"]["image_size"]


def _build_on_meta(config: Mapping[str, Any]) -> Method:
    method = build_on_meta(config)[1]
    assert method is not None
    return method


def _without_compilation(config: Mapping[str, Any]) -> dict[str, Any]:
    return {**config, "trainer": config["trainer"] | {"compile": False}}


def _build(config: Mapping[str, Any]) -> Method:
    _build_on_meta(config)  # rejects parts that do not fit with a one-line message
    method = build_model(config)[1]
    assert method is not None
    if config["trainer"]["compile"]:
        compile_blocks(method)
    return method


def _device(arguments: argparse.Namespace) -> torch.device:
    name = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise UserError(f"--device is {name}; expected cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: PyTorch sees no GPU here; use --device cpu.")
    if name == "cpu":
        keep_freed_memory()  # as training does
    return torch.device(name)


def _setting(arguments: argparse.Namespace, configs: Sequence[Mapping[str, Any]]) -> Setting:
    device, precision = _device(arguments), configs[0]["trainer"]["precision"]
    if precision not in DTYPES or any(config["trainer"]["precision"] != precision for config in configs):
        raise UserError(f"trainer.precision is {precision}; expected one of {', '.join(DTYPES)}, equal for all runs.")
    if arguments.batch is not None or device.type == "cpu":
        return Setting(device, arguments.batch or 16, precision)
    return Setting(device, min(fastest_batch(_rate(config, device, precision)) for config in configs), precision)


def _rate(config: Mapping[str, Any], device: torch.device, precision: str) -> Callable[[int], float]:
    """Returns the function from batch size to images per second.

    Eager, since every batch size would be compiled separately; eager steps take at least as much memory.
    """

    def rate(batch: int) -> float:
        timed = MethodStep(_build(_without_compilation(config)), _image_size(config), Setting(device, batch, precision))
        return batch / min(sum(timed().values()) for _ in range(5))

    return rate


def _baselines(
    arguments: argparse.Namespace, config: Mapping[str, Any], setting: Setting
) -> dict[str, Callable[[], dict[str, float]]]:
    """Steps of transformers: unmodified, and on a CPU also with the allocator settings of training here."""
    if not arguments.transformers:
        return {}
    method = _build_on_meta(config)
    try:
        if not isinstance(method, MAE):
            raise ValueError("--transformers compares with MAE; make method=mae the first method.")
        about = transformers_sizes(method, _image_size(config)), method.recipe, setting
    except ValueError as error:
        raise UserError(str(error)) from error
    if setting.device.type == "cuda":
        return {"in this process": TransformersStep(*about)}
    return {
        "in a process of its own": TransformersProcess(*about, keep_memory=False),
        "in a process that keeps freed memory, as training here does": TransformersProcess(*about, keep_memory=True),
    }


def _describe(setting: Setting, overrides: Sequence[str]) -> dict[str, Any]:
    return {"arguments": " ".join(overrides), "machine": describe_machine(setting.device)}


def _with_wall_clock(about: dict[str, Any]) -> dict[str, Any]:
    """The description for times that include other processes or waiting for a disk."""
    return about | {"machine": about["machine"] | {"clock": "wall"}}

"""What `mimbench bench` measures, on the methods that the words of `mimbench run` make."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch

from mimbench.benchmarking import (
    DTYPES,
    MethodStep,
    Setting,
    TransformersProcess,
    TransformersStep,
    compare,
    compare_compiled,
    compare_loading,
    compare_memory,
    count_step,
    fastest_batch,
    machine_facts,
    measure_startup,
    peer_sizes,
)
from mimbench.cli.build import build_model, data_of, outline
from mimbench.cli.compose import composer
from mimbench.cli.config import plain
from mimbench.cli.mistakes import Mistake
from mimbench.methods import MAE, Method
from mimbench.training.allocation import keep_freed_memory
from mimbench.training.compilation import compile_blocks

VIT = ["method=mae,deepmim,localmim,mirl", "encoder=vit_small", "data.image_size=224", "data.patch_size=16"]
SWIN = ["method=mae,localmim", "encoder=swin_tiny", "masker=shared", "data.image_size=224", "data.patch_size=4"]
DEMO = ["experiment=demo", "data=photos,digits", "method=mae,localmim"]
# On a GPU, the papers' sizes: widths of one trunk, MAE's larger one, and MIRL's deep ones beside MAE.
BASE = ["experiment=mae_vit_base_1600,deepmim_vit_base_pixel_1600,localmim_vit_base_1600", "trainer.compile=true"]
LARGE = ["experiment=mae_vit_large_1600", "trainer.compile=true"]
DEEP = ["experiment=mae_vit_base_1600,mirl_vit_s54_300,mirl_vit_b48_300", "trainer.compile=true"]
# What the file of counts watches: the demo, and sizes of the papers.
COUNTED = (
    ["experiment=demo", "data=photos", "method=mae,deepmim,localmim,mirl"],
    ["method=mae,deepmim,localmim,mirl", "encoder=vit_base", "data.image_size=224", "data.patch_size=16"],
    ["method=localmim", "encoder=swin_tiny", "masker=shared", "data.image_size=224", "data.patch_size=4"],
)


def step(arguments: argparse.Namespace, words: Sequence[str]) -> dict[str, Any]:
    """Training steps in turns."""
    configs = _configs(words or VIT)
    setting = _setting(arguments, configs)
    peers = _peers(arguments, configs[0], setting)
    counts = {_name(config): count_step(_outlined(config), _side(config)) for config in configs}
    steps = {_name(config): MethodStep(_built(config), _side(config), setting) for config in configs}
    options = {"--transformers": bool(peers), f"--batch {arguments.batch}": arguments.batch is not None}
    asked = [*(option for option, given in options.items() if given), *(words or VIT)]
    about = _facts(setting, asked) | ({"transformers": version("transformers")} if peers else {})
    return about | compare(steps, counts, setting, arguments.rounds, peers)


def data(arguments: argparse.Namespace, words: Sequence[str]) -> dict[str, Any]:
    """Loader against step, on real data."""
    rows, device = [], _device(arguments)
    for config in _configs(words or DEMO):
        size = arguments.batch or config["optim"]["batch_size"]
        setting = Setting(device, size, config["trainer"]["precision"])
        module = data_of(config["data"] | {"batch_size": size})
        module.setup("fit")
        own = MethodStep(_built(config), _side(config), setting)
        rows.append({"name": _name(config), "data": config["data"]["name"]})
        rows[-1] |= compare_loading(module, own, arguments.rounds)
    return _on_the_wall(_facts(Setting(device, 1), words or DEMO)) | {"rows": rows}


def startup(arguments: argparse.Namespace, words: Sequence[str]) -> dict[str, Any]:
    """Whole processes."""
    if words:
        raise Mistake("bench startup takes no words of a run; it always starts the same one.")
    facts = _facts(Setting(torch.device("cpu"), 1), [])
    return _on_the_wall(facts) | measure_startup(arguments.rounds)


def counts(arguments: argparse.Namespace, words: Sequence[str]) -> dict[str, Any]:
    """Operations per step, the same on every machine."""
    rows = {}
    for group in [list(words)] if words else COUNTED:
        for config in _configs(group):
            found = asdict(count_step(_outlined(config), _side(config)))
            rows[f"{_name(config)}, {_side(config)} px"] = found
    return {"kind": "counts", "rows": rows}


def compile_(arguments: argparse.Namespace, words: Sequence[str]) -> dict[str, Any]:
    """Compiled against eager."""
    words = words or ["experiment=demo", "method=mae", "data=photos", "encoder.depth=12"]
    configs = _configs(words)
    setting = _setting(arguments, configs)

    def make(config: Mapping[str, Any]) -> MethodStep:
        return MethodStep(_built(_eager(config)), _side(config), setting)

    rows = [{"name": _name(c)} | compare_compiled(make(c), make(c), arguments.rounds) for c in configs]
    return _facts(setting, words) | {"batch": setting.batch, "precision": setting.precision, "rows": rows}


def memory(arguments: argparse.Namespace, words: Sequence[str]) -> dict[str, Any]:
    """Peaks with and without gradient checkpointing."""
    device = _device(arguments)
    if device.type != "cuda":
        raise Mistake("bench memory reads a GPU's allocator, and there is no GPU here; bench step tells what is held.")
    words = words or DEEP[:1]
    rows, size = [], arguments.batch or 64
    for config in _configs(words):
        setting = Setting(device, size, config["trainer"]["precision"])
        rows.append({"name": _name(config)} | compare_memory(_built(config), _side(config), setting))
    return _facts(Setting(device, size), words) | {"batch": size, "rows": rows}


KINDS = {"step": step, "data": data, "startup": startup, "counts": counts, "compile": compile_, "memory": memory}


def suite(arguments: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """What docs/benchmarks.md shows, one result after the other."""
    plain_arguments = argparse.Namespace(**vars(arguments) | {"transformers": False})
    with_peer = argparse.Namespace(**vars(arguments) | {"transformers": True})
    if _device(arguments).type == "cuda":
        yield "step_base", step(with_peer, BASE)
        yield "step_large", step(plain_arguments, LARGE)
        yield "step_deep", step(plain_arguments, DEEP)
        yield "memory_base", memory(plain_arguments, BASE[:1])
        yield "memory_deep", memory(plain_arguments, DEEP[:1])
        yield "compile_deep", compile_(plain_arguments, DEEP[:1])
        return
    yield "step_vit", step(with_peer, VIT)
    yield "step_swin", step(plain_arguments, SWIN)
    yield "data", data(plain_arguments, DEMO)
    yield "startup", startup(plain_arguments, [])
    yield "counts", counts(plain_arguments, [])


def _configs(words: Sequence[str]) -> list[dict[str, Any]]:
    with composer(words) as hydra:
        configs = [plain(config) for config in hydra.configs(hydra.jobs())]
    trained = [config for config in configs if config["method"]["_target_"] is not None]
    if not trained:
        raise Mistake("method=untrained takes no step; name a method that trains.")
    return trained


def _name(config: Mapping[str, Any]) -> str:
    encoder = config["encoder"]
    depth = f" depth {encoder['depth']}" if isinstance(encoder.get("depth"), int) else ""
    return f"{config['method']['name']} {encoder['name']}{depth}"


def _side(config: Mapping[str, Any]) -> int:
    return config["data"]["image_size"]


def _outlined(config: Mapping[str, Any]) -> Method:
    method = outline(config)[1]
    assert method is not None
    return method


def _eager(config: Mapping[str, Any]) -> dict[str, Any]:
    return {**config, "trainer": config["trainer"] | {"compile": False}}


def _built(config: Mapping[str, Any]) -> Method:
    _outlined(config)  # refuses, in one line, parts that do not fit
    method = build_model(config)[1]
    assert method is not None
    if config["trainer"]["compile"]:
        compile_blocks(method)
    return method


def _device(arguments: argparse.Namespace) -> torch.device:
    name = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise Mistake(f"--device is cpu or cuda, got {name}.")
    if name == "cuda" and not torch.cuda.is_available():
        raise Mistake("--device cuda: PyTorch sees no GPU here.")
    if name == "cpu":
        keep_freed_memory()  # as training does
    return torch.device(name)


def _setting(arguments: argparse.Namespace, configs: Sequence[Mapping[str, Any]]) -> Setting:
    device, precision = _device(arguments), configs[0]["trainer"]["precision"]
    if precision not in DTYPES or any(config["trainer"]["precision"] != precision for config in configs):
        raise Mistake(f"trainer.precision is one of {', '.join(DTYPES)}, the same for all runs; got {precision}.")
    if arguments.batch is not None or device.type == "cpu":
        return Setting(device, arguments.batch or 16, precision)
    return Setting(device, min(fastest_batch(_rate(config, device, precision)) for config in configs), precision)


def _rate(config: Mapping[str, Any], device: torch.device, precision: str) -> Callable[[int], float]:
    """Images per second at a batch. Not compiled, which every batch would be anew; that takes more memory, not less."""

    def rate(batch: int) -> float:
        own = MethodStep(_built(_eager(config)), _side(config), Setting(device, batch, precision))
        return batch / min(sum(own().values()) for _ in range(5))

    return rate


def _peers(
    arguments: argparse.Namespace, config: Mapping[str, Any], setting: Setting
) -> dict[str, Callable[[], dict[str, float]]]:
    """transformers as it comes, and on a CPU also with its memory managed like ours."""
    if not arguments.transformers:
        return {}
    method = _outlined(config)
    try:
        if not isinstance(method, MAE):
            raise ValueError("--transformers compares with MAE; put method=mae first.")
        about = peer_sizes(method, _side(config)), method.recipe, setting
    except ValueError as error:
        raise Mistake(str(error)) from error
    if setting.device.type == "cuda":
        return {"in this process": TransformersStep(*about)}
    return {
        "in a process of its own": TransformersProcess(*about, keep_memory=False),
        "in a process that keeps freed memory, as training here does": TransformersProcess(*about, keep_memory=True),
    }


def _facts(setting: Setting, words: Sequence[str]) -> dict[str, Any]:
    return {"words": " ".join(words), "machine": machine_facts(setting.device)}


def _on_the_wall(facts: dict[str, Any]) -> dict[str, Any]:
    """Of what other processes do too, or what waits for a disk."""
    return facts | {"machine": facts["machine"] | {"clock": "wall"}}

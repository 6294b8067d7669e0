"""Stage 2: rates, memory and time of compilation against the goals; what falls short is profiled."""

import os
import statistics
from argparse import Namespace
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks.gpu.checks import Check, Goal, Setting, SkipCheck
from benchmarks.gpu.machine import peak
from mimbench.benchmarking import MethodStep, compare, measure_interleaved, median_ratio, transformers_sizes
from mimbench.benchmarking import Setting as StepSetting
from mimbench.benchmarking.memory import memory_bytes
from mimbench.experiments import benchmarks
from mimbench.methods import MAE
from mimbench.training.compilation import compile_blocks

GIB = 2**30
TINY = ["experiment=demo", "data=digits", "encoder.depth=4", "encoder.width=32", "method.dim=32"]
MAE_B, MAE_L = "experiment=mae_vit_base_1600", "experiment=mae_vit_large_1600"
METHODS = "experiment=mae_vit_base_1600,deepmim_vit_base_pixel_1600,localmim_vit_base_1600"
DEEP = "experiment=mae_vit_base_1600,mirl_vit_s54_300,mirl_vit_b48_300"


def checks(setting: Setting) -> list[Check]:
    """Sizes, expected seconds and goals."""
    share, low = Goal(0.9), Goal(0.05, upper=True)
    found = [
        Check("MAE ViT-B", partial(utilization, words=MAE_B, batch=512), 60, {"mae of the peak": Goal(0.50)}),
        Check("MAE ViT-L", partial(utilization, words=MAE_L, batch=256), 80, {"mae of the peak": Goal(0.58)}),
        Check(
            "methods beside MAE",
            partial(utilization, words=METHODS, batch=256),
            100,
            {"deepmim of MAE": share, "localmim of MAE": share, "localmim targets": low},
        ),
        Check(
            "deep MIRL beside MAE",
            partial(utilization, words=DEEP, batch=64),
            120,
            {"mirl vit_s54 of MAE": share, "mirl vit_b48 of MAE": share},
        ),
        Check("MIRL B-48 at batch 64", memory, 30, {"GiB": Goal(40, upper=True)}),
        Check("loader beside the step", loading, 60, {"loader over step": Goal(1.2)}),
        Check("54 blocks compiled", compilation, 90, {"seconds to the first step": Goal(60, upper=True)}),
        *(
            Check(
                f"peers {mode}",
                partial(peers, compiled=mode == "compiled"),
                60,
                {"over transformers": Goal(1), "over the released formulation": Goal(1)},
            )
            for mode in ("eager", "compiled")
        ),
    ]
    if not setting.rehearsal:
        return found
    return [Check(check.name, check.run, 0, check.goals) for check in found]


def utilization(setting: Setting, words: str, batch: int) -> Mapping[str, Any]:
    """Rates of training steps in turns, as shares of the GPU's peak and of the first one's.

    The peak is that of the data sheet; "of the matrix rate" refers to square products measured in the same minutes.
    """
    configs = benchmarks.training_configs(_words(setting, words))
    step_setting = _step_setting(setting, configs[0], batch)
    steps, counts = benchmarks.build_steps(configs, step_setting)
    rows = compare(steps, counts, step_setting, 1 if setting.rehearsal else 5, {})["rows"]
    top = peak(_device_name(setting))
    values: dict[str, Any] = {}
    for row in rows:
        name = _short(row["name"], rows)
        values[f"{name} images/s"] = round(row["images_per_second"], 1)
        values[f"{name} of the peak"] = row["flops_per_second"] / top if top else None
        values[f"{name} of the matrix rate"] = row["mfu"]
        values[f"{name} of MAE"] = row["flops_per_second_of_first"]
        values[f"{name} targets"] = row["targets_share"]
    values["rows"] = rows
    # Profiles cost a second each, and a GPU is not at hand when they are missed.
    values["profiles"] = {name: profile(step) for name, step in steps.items()}
    return values


def memory(setting: Setting) -> Mapping[str, Any]:
    """The allocator's peak of a compiled step in bf16 without checkpointing; in a rehearsal the tensors' sum."""
    [config] = benchmarks.training_configs(_words(setting, "experiment=mirl_vit_b48_300"))
    [step] = benchmarks.build_steps([config], _step_setting(setting, config, 64))[0].values()
    step()  # the first one allocates AdamW's moments
    found, kind = memory_bytes(step)
    return {"GiB": found / GIB, "kind": kind}


def compilation(setting: Setting) -> Mapping[str, Any]:
    """The first step of MIRL S-54 with compiled blocks, with an empty cache."""
    if setting.rehearsal:
        raise SkipCheck("not rehearsed: `mimbench bench compile` does the same")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(setting.work / f"compile-{os.getpid()}")
    arguments = Namespace(device=setting.device, batch=32, rounds=3)
    [row] = benchmarks.compile_(arguments, ["experiment=mirl_vit_s54_300"])["rows"]
    return {"seconds to the first step": row["first_step_seconds"], "speedup": row["speedup"], "blocks": row["blocks"]}


def loading(setting: Setting) -> Mapping[str, Any]:
    """Decoding JPEGs from shards on all cores, and the compiled step of MAE ViT-B, each alone."""
    from benchmarks.data import write_folder
    from mimbench.data.shards.pack import pack

    folder, shards = setting.work / "jpegs", setting.work / "shards"
    if not shards.exists():
        write_folder(folder, 60 if setting.rehearsal else 3000, 500, 375)
        pack(folder, shards, 64_000_000, told=lambda line: None)
    cores = len(os.sched_getaffinity(0))
    words = [*_words(setting, MAE_B), "data=shards", f"data.source.root={shards}", "data.source.holdout=0.05"]
    words += [f"data.num_workers={0 if setting.rehearsal else cores}"]
    words += ["data.image_size=32", "data.patch_size=8"] if setting.rehearsal else []
    rounds, batch = (1, 4) if setting.rehearsal else (5, 256)
    [row] = benchmarks.data(Namespace(device=setting.device, batch=batch, rounds=rounds), words)["rows"]
    rates = {key: row[f"{key}_images_per_second"] for key in ("loader", "step")}
    names = {f"{key} images/s": rate for key, rate in rates.items()}
    return names | {"loader over step": rates["loader"] / rates["step"], "cores": cores, "bound": row["bound"]}


def peers(setting: Setting, compiled: bool) -> Mapping[str, Any]:
    """MAE ViT-B of mimbench, of transformers and of the released formulation, in turns, with equal sizes.

    Compiled, the blocks of each are compiled one by one.
    """
    from benchmarks.gpu.released_mae import ReleasedStep

    words = [*_words(setting, MAE_B), "trainer.compile=false"]
    [config] = benchmarks.training_configs(words)
    step_setting = _step_setting(setting, config, 256)
    [own] = benchmarks.build_steps([config], step_setting)[0].values()
    assert isinstance(own.method, MAE)
    sizes = transformers_sizes(own.method, config["data"]["image_size"])
    steps: dict[str, Any] = {"mimbench": own}
    steps["the released formulation"] = ReleasedStep(sizes, own.method.recipe, step_setting)
    missing = None
    try:
        from mimbench.benchmarking import TransformersStep

        steps["transformers"] = TransformersStep(sizes, own.method.recipe, step_setting)
    except Exception as error:  # another version of it; the other peer is measured all the same
        missing = f"{type(error).__name__}: {error}"
    if compiled and not setting.rehearsal:
        compile_blocks(own.method)
        for name in steps.keys() - {"mimbench"}:
            compile_layers(steps[name].model)
    times = measure_interleaved(steps, 1 if setting.rehearsal else 7, warm_up=2)
    totals = {name: [sum(parts.values()) for parts in found] for name, found in times.items()}
    rates = {f"{name} images/s": step_setting.batch / statistics.median(found) for name, found in totals.items()}
    ahead = {f"over {name}": median_ratio(found, totals["mimbench"]) for name, found in totals.items()}
    names = ("over transformers", "over the released formulation")
    return rates | {name: ahead.get(name) for name in names} | ({"missing": missing} if missing else {})


def compile_layers(model: nn.Module) -> int:
    """Compiles every layer of the lists of equal layers in place; returns their number."""
    count = 0
    for parent in model.modules():
        layers = list(parent.children()) if isinstance(parent, nn.ModuleList | nn.Sequential) else []
        if len(layers) > 1 and len({type(layer) for layer in layers}) == 1:
            for layer in layers:
                layer.compile(dynamic=False)
                count += 1
    return count


def profile(step: MethodStep, rows: int = 15) -> list[dict[str, Any]]:
    """The operators and kernels of a step that take the most time of the device, with calls and milliseconds."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    cuda = step.setting.device.type == "cuda"
    with record(activities=[ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]) as recorded:
        step()
    key = "self_device_time_total" if cuda else "self_cpu_time_total"
    events = sorted(recorded.key_averages(), key=lambda event: getattr(event, key), reverse=True)[:rows]
    return [{"name": e.key[:90], "calls": e.count, "ms": round(getattr(e, key) / 1000, 3)} for e in events]


def _words(setting: Setting, words: str) -> list[str]:
    if not setting.rehearsal:
        # No images are read: the data's folder is named, not opened.
        return [words, "trainer.compile=true"]
    methods = [name.split("_")[0] for name in words.removeprefix("experiment=").split(",")]
    return [*TINY, "method=" + ",".join(dict.fromkeys(methods))]


def _step_setting(setting: Setting, config: Mapping[str, Any], batch: int) -> StepSetting:
    device = torch.device(setting.device)
    return StepSetting(device, 4 if setting.rehearsal else batch, config["trainer"]["precision"])


def _short(name: str, rows: list[dict[str, Any]]) -> str:
    """The method, with the encoder where a method occurs twice."""
    method, encoder = name.split()[:2]
    return method if sum(row["name"].split()[0] == method for row in rows) == 1 else f"{method} {encoder}"


def _device_name(setting: Setting) -> str:
    return torch.cuda.get_device_name() if setting.device == "cuda" else "CPU"

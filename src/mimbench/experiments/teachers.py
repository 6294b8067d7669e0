"""Finished runs as teachers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mimbench.experiments.build import build_model
from mimbench.experiments.recorder import RunRecorder
from mimbench.experiments.stored import check_config
from mimbench.methods import MAE
from mimbench.runs.directory import CHECKPOINTS, CONFIG, LAST, checkpoint
from mimbench.runs.directory import config as read_config


def mae_of_run(run: str | Path | None, image_size: int, pretrained: bool = True) -> MAE:
    """The MAE in a run directory, with its weights at the end of pre-training.

    The state of PyTorch's random number generator is kept.

    Args:
        run: A run directory, RUNS/SWEEP/RUN.
        image_size: Side of its input images in pixels.
        pretrained: Whether to load the weights; False is for checking that the parts fit together.

    Raises:
        ValueError: The run has not finished, it has another method or image size, or the weights do not fit.
    """
    if run is None:
        raise ValueError("target.teacher.run is missing; give a finished MAE run: target.teacher.run=runs/SWEEP/RUN.")
    run = Path(run)
    if not RunRecorder.is_finished(run):
        raise ValueError(f"{run} is not a finished run; pre-train an MAE with method=mae target=pixel first.")
    config = check_config(read_config(run), run / CONFIG)
    if config["method"]["_target_"] != "mimbench.methods.MAE":
        raise ValueError(f"The run {run.name} pre-trained {config['method']['name']}; hybrid targets need an MAE.")
    if (size := config["data"]["image_size"]) != image_size:
        raise ValueError(
            f"The run {run.name} saw images of {size} px, this one has {image_size} px; choose one of equal size."
        )
    with torch.random.fork_rng(devices=[]):
        method = _build(config)
    if pretrained:
        _load(method, run)
    return method


def _build(config: Mapping[str, Any]) -> MAE:
    encoder = dict(config["encoder"])
    if "pretrained" in encoder:
        encoder["pretrained"] = False  # the weights come from the checkpoint; timm's are not downloaded
    _, method = build_model({**config, "encoder": encoder})
    assert isinstance(method, MAE)
    return method


def _load(method: MAE, run: Path) -> None:
    path = checkpoint(run)
    if path is None:
        raise ValueError(f"{run / CHECKPOINTS / LAST} is missing or damaged; restore it, or pre-train another teacher.")
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
    try:
        method.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit the run's own {CONFIG}: {error}") from error

"""Finished runs as teachers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from mimbench.cli.bookkeeping import Bookkeeping
from mimbench.cli.build import build_model
from mimbench.methods import MAE


def mae_of_run(run: str | Path | None, image_size: int, pretrained: bool = True) -> MAE:
    """The MAE that a run directory holds, with its weights at the end of pre-training.

    PyTorch's random numbers go on as if nothing had been built.

    Args:
        run: A run directory, RUNS/SWEEP/RUN.
        image_size: Side of the images it will see, in pixels.
        pretrained: Whether to load the weights; without them it only serves to see whether all fits together.

    Raises:
        ValueError: There is no finished run, it is of another method or image size, or its weights do not fit it.
    """
    if run is None:
        raise ValueError("Name the finished MAE run to learn from: target.teacher.run=runs/SWEEP/RUN.")
    run = Path(run)
    if not Bookkeeping.finished(run):
        raise ValueError(f"{run} is no finished run; pre-train an MAE with method=mae target=pixel first.")
    config = yaml.safe_load((run / "config.yaml").read_text())
    if config["method"]["_target_"] != "mimbench.methods.MAE":
        raise ValueError(f"The run {run.name} pre-trained {config['method']['name']}; hybrid targets need an MAE.")
    if (size := config["data"]["image_size"]) != image_size:
        raise ValueError(
            f"The run {run.name} saw images of {size} px, this one has {image_size} px; take one of equal size."
        )
    with torch.random.fork_rng(devices=[]):
        method = _build(config)
    if pretrained:
        _load(method, run / "checkpoints" / "last.ckpt")
    return method


def _build(config: Mapping[str, Any]) -> MAE:
    encoder = dict(config["encoder"])
    if "pretrained" in encoder:
        encoder["pretrained"] = False  # weights come from the checkpoint; timm's need not be fetched
    _, method = build_model({**config, "encoder": encoder})
    assert isinstance(method, MAE)
    return method


def _load(method: MAE, checkpoint: Path) -> None:
    if not checkpoint.is_file():
        raise ValueError(f"{checkpoint} is missing; restore it, or pre-train another teacher.")
    state = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
    try:
        method.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise ValueError(f"{checkpoint} does not fit the run's own config.yaml: {error}") from error

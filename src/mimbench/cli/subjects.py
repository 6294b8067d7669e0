"""What can be evaluated: runs, their checkpoints, and imported weights."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml

from mimbench.cli.build import bare_encoder
from mimbench.cli.mistakes import Mistake
from mimbench.encoders import Encoder
from mimbench.reporting import records
from mimbench.weights.architecture import Architecture
from mimbench.weights.building import Pretrained, build
from mimbench.weights.store import ENCODER, load_encoder, notes_of

CONFIG = "config.yaml"
CHECKPOINT = Path("checkpoints", "last.ckpt")
_TRUNK = "encoder.trunk."


@dataclass(frozen=True)
class Candidate:
    """Something with an encoder.

    Attributes:
        name: As it is called in messages.
        directory: Results go to `evaluation/` in it, and into its record where it has one.
        config: Of the run that made it; None for imported weights.
        load: Makes the encoder; raises ValueError where the weights are another model's.
        step: Optimiser steps done, for a checkpoint; None for what is finished.
        epoch: Epochs done, for a checkpoint.
    """

    name: str
    directory: Path
    config: Mapping[str, Any] | None
    load: Callable[[], Encoder]
    step: int | None = None
    epoch: int | None = None

    @property
    def suffix(self) -> str:
        """Ends the names of what is found out about a checkpoint."""
        return "" if self.step is None else f"@step{self.step}"


def expand(paths: list[Path]) -> list[Path]:
    """Runs instead of sweeps; of several paths those that mean nothing, such as a sweep's report, are left out.

    Raises:
        Mistake: Nothing is left.
    """
    found: list[Path] = []
    for path in paths:
        if _is_subject(path):
            found.append(path)
        elif path.is_dir():
            found += sorted(run for run in path.iterdir() if run.is_dir() and _is_subject(run))
        elif not path.exists():
            raise Mistake(f"There is no {path}; give a run, a checkpoint (*.ckpt) or imported weights.")
    if not found:
        raise Mistake(
            f"{', '.join(map(str, paths[:3]))}: neither a run nor a checkpoint (*.ckpt) nor what `mimbench weights "
            "import` wrote."
        )
    return list(dict.fromkeys(found))


def find(path: Path) -> Candidate:
    """What a path means: of a run that has not finished, its newest checkpoint.

    Raises:
        Mistake: It holds no weights yet, or cannot be read.
    """
    if path.is_file():
        return checkpoint(path)
    if not (path / CONFIG).is_file():
        return _imported(path)
    if (path / ENCODER).is_file():
        config = _config(path)
        return Candidate(str(path), path, config, lambda: _with_weights_of(path, bare_encoder(config)))
    if (path / CHECKPOINT).is_file():
        return checkpoint(path / CHECKPOINT)
    raise Mistake(f"{path} has neither finished nor saved a checkpoint; nothing can be evaluated yet.")


def checkpoint(path: Path) -> Candidate:
    """A checkpoint of a run, finished or not, as it is now.

    Raises:
        Mistake: It is no checkpoint of mimbench, or lies in no run.
    """
    if not path.is_file():
        time.sleep(0.5)  # a newer one is about to take its place
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        state, step, epoch = content["state_dict"], content["global_step"], content["epoch"]
        trunk = {name.removeprefix(_TRUNK): value for name, value in state.items() if name.startswith(_TRUNK)}
    except Exception as error:  # a broken file can raise anything
        raise Mistake(f"{path} is no checkpoint of mimbench ({type(error).__name__}).") from error
    run = path.resolve().parent.parent
    if not trunk or not (run / CONFIG).is_file():
        raise Mistake(f"{path} lies in no run; expected RUN/checkpoints/*.ckpt beside RUN/{CONFIG}.")
    config = _config(run)

    def load() -> Encoder:
        encoder = bare_encoder(config)
        try:
            encoder.trunk.load_state_dict(trunk)
        except RuntimeError as error:
            raise ValueError(f"{path} belongs to another encoder than {run / CONFIG}.") from error
        return encoder

    directory = path.parent.parent if path.parent.name else run
    return Candidate(f"{directory} at step {step}", directory, config, load, step, epoch)


def in_progress(directory: Path) -> bool:
    """Whether a run's record says that it goes on."""
    path = directory / records.FILE
    return path.is_file() and records.read(path).status == "running"


def _imported(path: Path) -> Candidate:
    notes = notes_of(path)
    assert notes is not None

    def load() -> Encoder:
        told = Architecture.from_dict(notes["architecture"])
        timm = {name: value for name, value in told.timm.items() if name != "fc_norm"}
        bare = build(replace(told, branches=None, num_classes=0, global_pool="token", timm=timm))
        assert isinstance(bare, Pretrained)
        assert isinstance(bare.encoder, Encoder)
        return _with_weights_of(path, bare.encoder)

    return Candidate(str(path), path, None, load)


def _with_weights_of(directory: Path, encoder: Encoder) -> Encoder:
    load_encoder(directory, encoder, adapt=True)
    return encoder


def _is_subject(path: Path) -> bool:
    if path.is_file():
        return path.suffix == ".ckpt"
    return (path / CONFIG).is_file() or ((path / ENCODER).is_file() and notes_of(path) is not None)


def _config(run: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load((run / CONFIG).read_text(encoding="utf-8"))
        return json.loads(json.dumps(config)) | {"encoder": config["encoder"], "data": config["data"]}
    except (yaml.YAMLError, TypeError, KeyError) as error:
        raise Mistake(f"{run / CONFIG} is no configuration of a run ({type(error).__name__}).") from error

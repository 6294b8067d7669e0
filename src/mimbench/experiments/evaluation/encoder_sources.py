"""Sources of encoders to evaluate: finished runs, checkpoints, imported weights."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from mimbench.core.errors import UserError
from mimbench.encoders import Encoder
from mimbench.experiments.build import build_encoder
from mimbench.experiments.stored import check_config
from mimbench.runs import directory
from mimbench.runs.directory import CHECKPOINTS, CONFIG, ENCODER, LAST, PREVIOUS
from mimbench.weights.architecture import Architecture
from mimbench.weights.building import Pretrained, build
from mimbench.weights.store import load_encoder, notes_of

_TRUNK = "encoder.trunk."
_AVERAGE = "target.encoder.trunk."


@dataclass(frozen=True)
class EncoderSource:
    """A source of an encoder.

    Attributes:
        name: Name in messages.
        directory: Results go to `evaluation/` in it, and into its record if it has one.
        config: Configuration of the run; None for imported weights.
        load: Returns the encoder; raises ValueError if the weights belong to another model.
        step: Optimizer steps of a checkpoint; None for a finished run and imported weights.
        epoch: Epochs of a checkpoint; None as for `step`.
    """

    name: str
    directory: Path
    config: Mapping[str, Any] | None
    load: Callable[[], Encoder]
    step: int | None = None
    epoch: int | None = None

    @property
    def suffix(self) -> str:
        """Suffix of result names, such as `@step500`; empty if `step` is None."""
        return "" if self.step is None else f"@step{self.step}"


def expand_paths(paths: list[Path]) -> list[Path]:
    """Replaces directories, such as sweeps, with the sources in them; subdirectories that are none are left out.

    Raises:
        UserError: A path does not exist, or no path contains a source.
    """
    found: list[Path] = []
    for path in paths:
        if _is_source(path):
            found.append(path)
        elif path.is_dir():
            found += sorted(run for run in path.iterdir() if run.is_dir() and _is_source(run))
        elif not path.exists():
            raise UserError(f"There is no {path}; expected a run, a checkpoint (*.ckpt) or imported weights.")
    if not found:
        raise UserError(
            f"{', '.join(map(str, paths[:3]))}: expected a run, a checkpoint (*.ckpt) or weights imported with "
            "`mimbench weights import`."
        )
    return list(dict.fromkeys(found))


def find_source(path: Path) -> EncoderSource:
    """The source at a path; for a run that has not finished, its newest checkpoint.

    Raises:
        UserError: There are no weights yet, or they cannot be read.
    """
    if path.is_file():
        return checkpoint_source(path)
    if not (path / CONFIG).is_file():
        return _imported(path)
    if (path / ENCODER).is_file():
        config = _config(path)
        return EncoderSource(str(path), path, config, lambda: _load_into(path, build_encoder(config)))
    if (newest := directory.checkpoint(path)) is not None:
        return checkpoint_source(newest)
    if (last := path / CHECKPOINTS / LAST).is_file():
        raise UserError(f"{last} is damaged, and there is no {PREVIOUS} beside it; run {path.name} again.")
    raise UserError(f"{path} has neither finished nor saved a checkpoint; wait for one.")


def checkpoint_source(path: Path) -> EncoderSource:
    """The source for the current content of a checkpoint file.

    Raises:
        UserError: The file is not a checkpoint of mimbench, or not in a run.
    """
    if not path.is_file():
        time.sleep(0.5)  # it may be being replaced by a newer one
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        state, step, epoch = content["state_dict"], content["global_step"], content["epoch"]
        prefix = _exported(state, Path(path).resolve().parent.parent)
        trunk = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    except Exception as error:  # a broken file can raise anything
        raise UserError(
            f"{path} is not a checkpoint of mimbench ({type(error).__name__}); expected RUN/checkpoints/*.ckpt."
        ) from error
    run = path.resolve().parent.parent
    if not trunk or not (run / CONFIG).is_file():
        raise UserError(f"{path} is not in a run; expected RUN/checkpoints/*.ckpt beside RUN/{CONFIG}.")
    config = _config(run)

    def load() -> Encoder:
        encoder = build_encoder(config)
        try:
            encoder.trunk.load_state_dict(trunk)
        except RuntimeError as error:
            raise ValueError(f"{path} belongs to another encoder than {run / CONFIG}.") from error
        return encoder

    folder = path.parent.parent if path.parent.name else run
    return EncoderSource(f"{folder} at step {step}", folder, config, load, step, epoch)


def _exported(state: Mapping[str, Any], run: Path) -> str:
    """Prefix of the encoder that a run exports: the trained one, or a moving average that its method keeps."""
    method = _config(run).get("method") if (run / CONFIG).is_file() else None
    keeps = isinstance(method, Mapping) and method.get("export") == "momentum"
    return _AVERAGE if keeps and any(name.startswith(_AVERAGE) for name in state) else _TRUNK


def _imported(path: Path) -> EncoderSource:
    notes = notes_of(path)
    assert notes is not None

    def load() -> Encoder:
        stored = Architecture.from_dict(notes["architecture"])
        timm = {name: value for name, value in stored.timm.items() if name != "fc_norm"}
        model = build(replace(stored, branches=None, num_classes=0, global_pool="token", timm=timm))
        assert isinstance(model, Pretrained)
        assert isinstance(model.encoder, Encoder)
        return _load_into(path, model.encoder)

    return EncoderSource(str(path), path, None, load)


def _load_into(folder: Path, encoder: Encoder) -> Encoder:
    load_encoder(folder, encoder, adapt=True)
    return encoder


def _is_source(path: Path) -> bool:
    if path.is_file():
        return path.suffix == ".ckpt"
    return (path / CONFIG).is_file() or ((path / ENCODER).is_file() and notes_of(path) is not None)


def _config(run: Path) -> dict[str, Any]:
    try:
        config = directory.config(run)
    except ValueError as error:
        raise UserError(str(error)) from error
    if missing := [key for key in ("encoder", "data") if not isinstance(config.get(key), Mapping)]:
        raise UserError(f"{run / CONFIG} is not the configuration of a run: it has no {missing[0]}.")
    return check_config(config, run / CONFIG)

"""Hints for keys that do not exist."""

import difflib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mimbench.core.dotted import find

# What other programs call our keys, by the last part of the key in lower case.
_SYNONYMS: Mapping[str, str] = {
    "lr": "optim.base_lr",
    "learning_rate": "optim.base_lr",
    "base_lr": "optim.base_lr",
    "blr": "optim.base_lr",
    "wd": "optim.weight_decay",
    "warmup": "optim.warmup_epochs",
    "bs": "optim.batch_size",
    "batch": "optim.batch_size",
    "batch_size": "optim.batch_size",
    "gradient_clip_val": "optim.clip_norm",
    "clip_grad": "optim.clip_norm",
    "epoch": "budget.epochs",
    "epochs": "budget.epochs",
    "max_epochs": "budget.epochs",
    "num_epochs": "budget.epochs",
    "steps": "budget=steps budget.steps",
    "max_steps": "budget=steps budget.steps",
    "num_steps": "budget=steps budget.steps",
    "seconds": "budget=seconds budget.seconds",
    "max_time": "budget=seconds budget.seconds",
    "flops": "budget=flops budget.flops",
    "patch": "data.patch_size",
    "patch_size": "data.patch_size",
    "image_size": "data.image_size",
    "img_size": "data.image_size",
    "input_size": "data.image_size",
    "resolution": "data.image_size",
    "workers": "data.num_workers",
    "num_workers": "data.num_workers",
    "dataset": "data",
    "root": "data.source.root",
    "data_path": "data.source.root",
    "gpu": "trainer.devices",
    "gpus": "trainer.devices",
    "num_gpus": "trainer.devices",
    "devices": "trainer.devices",
    "device": "trainer.accelerator",
    "nodes": "trainer.num_nodes",
    "num_nodes": "trainer.num_nodes",
    "amp": "trainer.precision",
    "fp16": "trainer.precision",
    "bf16": "trainer.precision",
    "precision": "trainer.precision",
    "compile": "trainer.compile",
    "seeds": "seed",
    "random_seed": "seed",
    "mask_ratio": "masker.ratio",
    "ratio": "masker.ratio",
    "model": "encoder",
    "arch": "encoder",
    "backbone": "encoder",
    "depth": "encoder.depth",
    "layers": "encoder.depth",
    "num_layers": "encoder.depth",
    "width": "encoder.width",
    "embed_dim": "encoder.width",
    "hidden_size": "encoder.width",
    "heads": "encoder.num_heads",
    "decoder_dim": "method.dim",
    "decoder_width": "method.dim",
    "decoder_depth": "method.num_blocks",
    "protocols": "protocol",
    "probe": "protocol",
    "eval": "protocol",
    "optimizer": "optim",
    "methods": "method",
    "loss": "target",
    "output": "paths.runs",
    "output_dir": "paths.runs",
    "out": "paths.runs",
    "name": "sweep",
    "exp_name": "sweep",
    "run_name": "sweep",
    "checkpoint": "weights",
    "ckpt": "weights",
    "pretrained": "weights",
    "wandb": "logger=wandb",
    "tensorboard": "logger=tensorboard",
    "slurm": "hydra/launcher=slurm",
}
_CLASSES = {"trainer": "lightning.Trainer"}  # nodes that become constructor arguments without a `_target_`


@dataclass(frozen=True)
class Keys:
    """The keys that a command accepts.

    Attributes:
        names: All dotted keys.
        groups: The options of every config group.
        config: The composed configuration, for constructors whose parameters are not among the keys.
    """

    names: Sequence[str]
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    config: Mapping[str, object] = field(default_factory=dict)

    def is_unknown(self, key: str) -> bool:
        """Whether a key, without a sign before it, is neither a key nor a node nor a group."""
        return key not in self.groups and not any(f"{name}.".startswith(f"{key}.") for name in self.names)

    def unknown(self, key: str) -> str:
        """A message for a key that does not exist: what else it may be called, or how it is added."""
        names = [*self.groups, *self.names]
        if _synonym(key, names) is None and (accepting := self._accepting(key)):
            return f"There is no key '{key}', but {accepting} accepts it: +{key}=..."
        return f"There is no key '{key}'.{similar(key, names)}"

    def _accepting(self, key: str) -> str | None:
        """The name of the constructor with this parameter; None without one."""
        node, _, leaf = key.rpartition(".")
        if _misspelled(key, self.names):  # no imports for a misspelling
            return None
        target = find(self.config, f"{node}._target_", None) or _CLASSES.get(node)
        if not isinstance(target, str):
            return None
        from hydra.utils import get_object

        try:
            parameters = inspect.signature(get_object(target)).parameters
        except Exception:  # a target that cannot be imported gives no hint; building it reports why
            return None
        return target.rpartition(".")[2] if leaf in parameters else None


def _misspelled(key: str, names: Sequence[str]) -> list[str]:
    """Keys of the same node with nearly the same spelling."""
    node = key.rpartition(".")[0]
    return difflib.get_close_matches(key, [name for name in names if name.rpartition(".")[0] == node and node], 1, 0.9)


def similar(key: str, names: Iterable[str]) -> str:
    """A hint such as " Did you mean optim.base_lr?": synonyms first, then full keys with similar spelling."""
    known = list(dict.fromkeys(names))
    if synonym := None if _misspelled(key, known) else _synonym(key, known):
        return f" Did you mean {synonym}?"
    leaf = key.rpartition(".")[2]
    leaves: dict[str, str] = {}
    for name in known:
        leaves.setdefault(name.rpartition(".")[2], name)
    close = difflib.get_close_matches(key, [name for name in known if "." in name or "." not in key], n=3, cutoff=0.5)
    alike = [leaves[name] for name in difflib.get_close_matches(leaf, leaves, n=3, cutoff=0.7)]
    found = list(dict.fromkeys([*alike, *close] if "." not in key else [*close, *alike]))[:3]
    return f" Did you mean {' or '.join(found)}?" if found else " See mimbench run --help."


def _synonym(key: str, names: Sequence[str]) -> str | None:
    """Our key for another program's; None if there is none in this configuration, or it is the key itself."""
    meant = _SYNONYMS.get(key.rpartition(".")[2].lower())
    if meant is None or meant == key or ("." in key and key.startswith(("protocol.", "callbacks.", "finetune."))):
        return None
    is_phrase = "=" in meant
    known = is_phrase or any(name == meant or name.startswith(f"{meant}.") for name in names)
    return meant if known else None

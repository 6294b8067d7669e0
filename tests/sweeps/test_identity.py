"""What makes two runs the same run."""

import copy
from typing import Any

import pytest

from mimbench.dotted import flatten
from mimbench.sweeps import identity
from mimbench.sweeps.identity import is_relevant

CONFIG: dict[str, Any] = {
    "seed": 0,
    "sweep": "a",
    "resume": None,
    "paths": {"runs": "runs"},
    "logger": {"wandb": {"project": "p"}},
    "callbacks": {"knn": {"every_n_epochs": 20}, "checkpoint_every_n_epochs": 10},
    "data": {"name": "photos", "source": {"num_train": 4000}, "batch_size": 256, "num_workers": 0, "seed": 0},
    "encoder": {"name": "vit_micro", "depth": 4, "width": 96, "mlp_ratio": 4},
    "masker": {"_target_": "mimbench.maskers.RandomMasker", "ratio": 0.75},
    "target": {"_target_": "mimbench.targets.PixelTarget", "normalize": True},
    "method": {"_target_": "mimbench.methods.MAE", "name": "mae", "dim": 64},
    "optim": {"batch_size": 256, "base_lr": 1e-3, "min_lr": 0.0, "betas": [0.9, 0.95], "fused": True, "ema": None},
    "budget": {"epochs": 60, "steps": None},
    "protocol": {"knn": {"k": 20}},
    "trainer": {
        **{"accelerator": "auto", "devices": 1, "num_nodes": 1, "strategy": "auto", "precision": "32-true"},
        **{"accumulate_grad_batches": 1, "compile": False, "grad_checkpointing": False},
    },
}


def changed(key: str, value: Any, config: dict[str, Any] = CONFIG) -> dict[str, Any]:
    other = copy.deepcopy(config)
    *groups, leaf = key.split(".")
    place = other
    for group in groups:
        place = place[group]
    assert leaf in place
    place[leaf] = value
    return other


def untrained() -> dict[str, Any]:
    return changed("method", {"_target_": None, "name": "untrained"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sweep", "b"),
        ("resume", "other.ckpt"),
        ("paths.runs", "/elsewhere"),
        ("logger", {}),
        ("logger", None),
        ("callbacks.knn", None),
        ("callbacks.checkpoint_every_n_epochs", 1),
        ("data.num_workers", 8),
        ("optim.fused", False),
        ("trainer.accelerator", "gpu"),
        ("trainer.devices", 8),
        ("trainer.num_nodes", 2),
        ("trainer.strategy", "ddp"),
        ("trainer.accumulate_grad_batches", 4),
        ("trainer.compile", True),
        ("trainer.grad_checkpointing", True),
    ],
)
def test_where_and_how_a_run_is_computed_does_not_matter(key: str, value: Any) -> None:
    assert identity(changed(key, value)) == identity(CONFIG)
    assert not is_relevant(key)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 1),
        ("seed", None),
        ("data.name", "digits"),
        ("data.source.num_train", 2000),
        ("data.batch_size", 128),
        ("data.seed", 1),
        ("encoder.depth", 8),
        ("masker.ratio", 0.5),
        ("target.normalize", False),
        ("target._target_", "mimbench.targets.HOGTarget"),
        ("method.name", "localmim"),
        ("method.dim", 128),
        ("optim.base_lr", 2e-3),
        ("optim.betas", [0.9, 0.999]),
        ("optim.ema", 0.999),
        ("budget.epochs", 61),
        ("protocol.knn.k", 10),
        ("trainer.precision", "bf16-mixed"),
    ],
)
def test_what_can_change_the_result_matters(key: str, value: Any) -> None:
    assert identity(changed(key, value)) != identity(CONFIG)
    assert is_relevant(key)


def test_seeds_make_as_many_runs_as_there_are() -> None:
    assert len({identity(changed("seed", seed)) for seed in range(20)}) == 20


def test_the_order_of_keys_does_not_matter() -> None:
    def backwards(tree: Any) -> Any:
        return {key: backwards(tree[key]) for key in reversed(tree)} if isinstance(tree, dict) else tree

    assert list(backwards(CONFIG)) != list(CONFIG)
    assert identity(backwards(CONFIG)) == identity(CONFIG)


@pytest.mark.parametrize(("key", "value"), [("encoder.mlp_ratio", 4.0), ("optim.min_lr", 0), ("budget.epochs", 60.0)])
def test_a_whole_number_is_the_same_with_and_without_a_point(key: str, value: Any) -> None:
    assert identity(changed(key, value)) == identity(CONFIG)


def test_a_number_is_not_its_text_nor_a_truth_value() -> None:
    assert len({identity(changed("seed", seed)) for seed in (0, "0", False)}) == 3


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("masker.ratio", 0.5),
        ("target.normalize", False),
        ("optim.base_lr", 1.0),
        ("budget.epochs", 7),
        ("trainer.precision", "bf16-mixed"),
        ("data.batch_size", 64),
    ],
)
def test_an_untrained_encoder_is_the_same_under_any_recipe_of_training(key: str, value: Any) -> None:
    assert identity(changed(key, value, untrained())) == identity(untrained())


@pytest.mark.parametrize(
    ("key", "value"),
    [("seed", 1), ("encoder.depth", 8), ("data.name", "digits"), ("data.source.num_train", 9), ("protocol.knn.k", 5)],
)
def test_untrained_encoders_differ_by_seed_architecture_data_and_protocol(key: str, value: Any) -> None:
    assert identity(changed(key, value, untrained())) != identity(untrained())


def test_an_untrained_encoder_is_no_trained_one() -> None:
    assert identity(untrained()) != identity(CONFIG)


def test_an_identity_is_twelve_hexadecimal_digits_and_stable_between_versions() -> None:
    digits = identity({"seed": 0, "method": {"name": "mae", "_target_": "x"}})
    assert digits == "c9a0f15e67ab"


def test_flattening_joins_keys_by_dots_and_keeps_lists() -> None:
    assert flatten({"a": {"b": 1, "c": {}}, "d": [1, {"e": 2}]}) == {"a.b": 1, "a.c": {}, "d": [1, {"e": 2}]}

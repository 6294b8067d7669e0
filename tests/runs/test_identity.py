"""Which configurations have equal identities."""

import copy
from typing import Any

import pytest

from mimbench.core.dotted import flatten
from mimbench.runs import introduced
from mimbench.runs.identity import identity, is_evaluation, is_relevant, pretraining

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
def test_devices_and_files_do_not_change_the_identity(key: str, value: Any) -> None:
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
def test_keys_that_can_change_the_result_change_the_identity(key: str, value: Any) -> None:
    assert identity(changed(key, value)) != identity(CONFIG)
    assert is_relevant(key)


def test_protocols_change_the_identity_of_a_run_and_not_that_of_its_pretraining() -> None:
    for other in (changed("protocol.knn.k", 10), {**CONFIG, "protocol": {}}, {**CONFIG, "protocol": {"linear": {}}}):
        assert identity(other) != identity(CONFIG)
        assert pretraining(other) == pretraining(CONFIG)
    assert is_evaluation("protocol.knn.k")


@pytest.mark.parametrize(("key", "value"), [("seed", 1), ("encoder.depth", 8), ("budget.epochs", 61)])
def test_everything_else_changes_that_of_the_pretraining_too(key: str, value: Any) -> None:
    assert pretraining(changed(key, value)) != pretraining(CONFIG)
    assert not is_evaluation(key)


def test_every_seed_is_a_different_run() -> None:
    assert len({identity(changed("seed", seed)) for seed in range(20)}) == 20


def test_the_order_of_keys_does_not_matter() -> None:
    def backwards(tree: Any) -> Any:
        return {key: backwards(tree[key]) for key in reversed(tree)} if isinstance(tree, dict) else tree

    assert list(backwards(CONFIG)) != list(CONFIG)
    assert identity(backwards(CONFIG)) == identity(CONFIG)


@pytest.mark.parametrize(("key", "value"), [("encoder.mlp_ratio", 4.0), ("optim.min_lr", 0), ("budget.epochs", 60.0)])
def test_integers_and_equal_floats_have_the_same_identity(key: str, value: Any) -> None:
    assert identity(changed(key, value)) == identity(CONFIG)


def test_numbers_strings_and_booleans_differ() -> None:
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
def test_training_keys_do_not_change_an_untrained_encoder(key: str, value: Any) -> None:
    assert identity(changed(key, value, untrained())) == identity(untrained())


@pytest.mark.parametrize(
    ("key", "value"),
    [("seed", 1), ("encoder.depth", 8), ("data.name", "digits"), ("data.source.num_train", 9), ("protocol.knn.k", 5)],
)
def test_untrained_encoders_differ_by_seed_architecture_data_and_protocol(key: str, value: Any) -> None:
    assert identity(changed(key, value, untrained())) != identity(untrained())


def test_untrained_and_trained_encoders_differ() -> None:
    assert identity(untrained()) != identity(CONFIG)


def test_an_identity_is_twelve_hexadecimal_digits_and_equal_in_all_versions() -> None:
    digits = identity({"seed": 0, "method": {"name": "mae", "_target_": "x"}})
    assert digits == "c9a0f15e67ab"


def test_flattening_joins_keys_by_dots_and_keeps_lists() -> None:
    assert flatten({"a": {"b": 1, "c": {}}, "d": [1, {"e": 2}]}) == {"a.b": 1, "a.c": {}, "d": [1, {"e": 2}]}


@pytest.mark.parametrize(
    ("key", "neutral", "other"),
    [
        ("start_lr", 0.0, 1e-6),
        ("milestones", [], [700]),
        ("final_weight_decay", None, 0.4),
        ("clip_norm", None, 5.0),
        ("ahead", False, True),
        ("decayed", [], ["relative_position_bias_table"]),
    ],
)
def test_newer_keys_count_only_where_they_change_something(key: str, neutral: Any, other: Any) -> None:
    with_key = {**CONFIG, "optim": {**CONFIG["optim"], key: neutral}}
    assert identity(with_key) == identity(CONFIG)
    assert identity(changed(f"optim.{key}", other, with_key)) != identity(CONFIG)


def test_a_newer_key_with_its_default_does_not_change_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introduced, "_DEFAULTS", {"method.heat": 0, "optim.mixing": False})
    older = identity(CONFIG)
    method, optim = CONFIG["method"], CONFIG["optim"]
    newer = {**CONFIG, "method": {**method, "heat": 0}, "optim": {**optim, "mixing": False}}
    assert identity(newer) == older
    assert pretraining(newer) == pretraining(CONFIG)
    for change in ({"heat": 1}, {"heat": False}, {"heat": None}):
        assert identity({**newer, "method": {**method, **change}}) != older


def test_defaults_are_told_once() -> None:
    keys = [key for keys in introduced.INTRODUCED.values() for key in keys]
    assert len(keys) == len(set(keys))
    assert all("." in key for key in keys)

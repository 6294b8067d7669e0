"""Composition of sweeps without running them."""

from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from mimbench.core.errors import UserError
from mimbench.experiments.composition.compose import composer
from mimbench.experiments.composition.errors import CAUSED_BY_USERS
from mimbench.experiments.config import resolve


@pytest.fixture(autouse=True)
def _clear() -> object:
    yield
    GlobalHydra.instance().clear()


def test_jobs_are_the_product_of_all_lists() -> None:
    with composer(["method=mae,mirl", "seed=0,1", "data=digits", "hydra/launcher=local"]) as hydra:
        assert hydra.jobs() == [
            [method, seed, "data=digits"] for method in ("method=mae", "method=mirl") for seed in ("seed=0", "seed=1")
        ]


@pytest.mark.parametrize(
    "overrides",
    [
        ["method=mae,localmim", "encoder.depth=4,8", "seed=0,1"],
        ["experiment=demo", "optim.base_lr=1e-3,2e-3", "budget.epochs=3"],
        ["method=mirl", "method.depths=[2,4]", "method.unit_head=false,true", "seed=1"],
        ["encoder=timm", "encoder.model_name=vit_tiny_patch16_224,'vit_small_patch16_224'", "weights=null"],
        ["data.image_size=32,64", "data.patch_size=4", "+data.flip=true", "protocol=[knn]", "logger=[wandb]"],
        ["budget=flops", "budget.flops=1e15,2e15", "~protocol.knn"],
    ],
)
def test_configurations_equal_those_of_hydra(overrides: list[str]) -> None:
    with composer(overrides) as hydra:
        jobs = hydra.jobs()
        expected = [resolve(hydra.loader.load_sweep_config(hydra.master, job)) for job in jobs]
        assert [resolve(config) for config in hydra.configs(jobs)] == expected


def test_composing_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with composer(["seed=0,1"]) as hydra:
        hydra.configs(hydra.jobs())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("overrides", [["optim.base_lrr=1,2"], ["optim.base_lrr=1"], ["method=mea"]])
def test_unknown_overrides_raise_hydras_errors(overrides: list[str]) -> None:
    with pytest.raises(CAUSED_BY_USERS), composer(overrides) as hydra:
        hydra.configs(hydra.jobs())


@pytest.mark.parametrize(("override", "hint"), [("--cfg", "--cfg"), ("hydra/sweeper=optuna", "only a grid")])
def test_flags_and_searches_are_rejected(override: str, hint: str) -> None:
    with pytest.raises(UserError, match=hint), composer([override]):
        pass

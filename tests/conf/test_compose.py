"""Every option of every group composes, and what can be built without data or weights is built."""

import json
import re
from pathlib import Path

import hydra
import pytest
from omegaconf import DictConfig

from mimbench.core.errors import UserError
from mimbench.experiments.build import build_data, check_parts
from mimbench.experiments.config import config_directory, describe, resolve

CONF = config_directory()


def compose(*overrides: str) -> DictConfig:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose("run", list(overrides))


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


NOT_DEFAULT = ("hydra", "experiment", "ablation", "augmentation")
GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name not in NOT_DEFAULT)
CHOICES = [(group, option) for group in GROUPS for option in options(group)]


@pytest.mark.parametrize(("group", "option"), CHOICES, ids=[f"{g}={o}" for g, o in CHOICES])
def test_every_option_composes_and_resolves(group: str, option: str) -> None:
    config = resolve(compose(f"{group}=[{option}]" if group in ("protocol", "logger") else f"{group}={option}"))
    assert group in config or option == "none"


@pytest.mark.parametrize("encoder", options("encoder"))
@pytest.mark.parametrize("method", options("method"))
def test_every_method_builds_on_every_encoder_at_imagenet_size(method: str, encoder: str) -> None:
    masker = "shared" if encoder.startswith("swin") else "random"
    masker = "multiblock" if method == "ijepa" else masker
    words = [f"method={method}", f"encoder={encoder}", f"masker={masker}", "data=folder"]
    if method == "localmim" and encoder == "vit_huge":
        words += ["method.cells=[7,7,14,28]"]  # a quarter of 14 px is no whole number of pixels
    _, refused = check_parts(resolve(compose(*words)))
    if method in ("mirl", "deepmim", "mff", "crossmae", "ijepa") and encoder.startswith("swin"):
        assert refused
        assert method in refused.lower().replace("i-jepa", "ijepa")  # one grid for all depths
    else:
        assert refused is None


@pytest.mark.parametrize("experiment", options("experiment"))
def test_every_experiment_builds(experiment: str) -> None:
    assert check_parts(resolve(compose(f"experiment={experiment}")))[1] is None


def refusal(data: dict) -> str:
    """Why the data cannot be built; empty if they can."""
    try:
        build_data(data)
    except UserError as error:
        return str(error)
    return ""


BUNDLED = ("photos", "digits", "shapes", "scenes", "collages", "fashion")


@pytest.mark.parametrize("experiment", options("experiment"))
def test_every_experiment_composes_with_bundled_data_or_says_why_not(experiment: str) -> None:
    models: dict[str, dict] = {}
    for data in BUNDLED:
        config = resolve(compose(f"experiment={experiment}", f"data={data}"))
        assert re.fullmatch(r"|(\w+|The class) has no argument '\w+'; leave it out, .+", refusal(config["data"]))
        models[json.dumps([config[key] for key in ("encoder", "method", "masker", "target")])] = config
    for config in models.values():
        reason = check_parts(config)[1]
        assert reason is None or ("unexpected" not in reason and "\n" not in reason), reason


@pytest.mark.parametrize(("data", "holdout"), [("folder", 0.0001), ("shards", 0.0001), ("cifar10", 0.0001)])
def test_recipes_hold_out_as_little_as_possible_of_data_that_can(data: str, holdout: float) -> None:
    recipe = resolve(compose("experiment=mae_vit_base_1600", f"data={data}"))
    assert recipe["data"]["source"]["holdout"] == holdout
    assert resolve(compose(f"data={data}"))["data"]["source"]["holdout"] > 0.01


def test_localmim_brings_its_own_target_and_lets_it_be_changed() -> None:
    assert "HOG" in resolve(compose("method=localmim"))["target"]["_target_"]
    assert "Pixel" in resolve(compose("method=localmim", "target=pixel"))["target"]["_target_"]


def test_depth_axis_follows_the_encoder_whatever_names_it() -> None:
    config = resolve(compose("encoder=timm", "encoder.model_name=vit_tiny_patch16_224", "data=folder"))
    depth, refused = check_parts(config)
    assert (depth, refused) == (12, None)
    run = describe(config, ["encoder=timm", "optim.base_lr=1e-4", "seed=3"], depth)
    assert run.axes["encoder"] == "vit_tiny_patch16_224"
    assert run.axes["optim.base_lr"] == config["optim"]["base_lr"]
    assert "encoder=timm" not in run.axes


def test_yaml_keys_equal_constructor_parameters() -> None:
    """An option that nothing reads would be refused by its constructor."""
    for key in ("method", "encoder", "optim", "masker", "target", "data", "data.source"):
        config = resolve(compose(f"+{key}.no_such_parameter=1"))
        _, refused = check_parts(config)
        if not key.startswith("data"):
            assert refused, key
            assert "no_such_parameter" in refused


def test_configurations_ship_with_the_package() -> None:
    assert (Path(CONF) / "run.yaml").is_file()


def test_an_experiment_has_the_last_word_but_for_the_command_line() -> None:
    assert resolve(compose("experiment=demo"))["sweep"] == "demo"
    assert resolve(compose("experiment=demo", "sweep=mine"))["sweep"] == "mine"

"""Segmentation recipes say what was published, and their words compose."""

from functools import cache
from typing import Any

import hydra
import pytest
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from mimbench.evaluation import SegmentLinear, SegmentRecipe
from mimbench.experiments.config import config_directory, resolve
from mimbench.runs.identity import identity

CONF = config_directory()
# lr, layer decay, drop path, weight decay, depths, channels
EXPECTED = {
    "mae_base": (1e-4, 0.65, 0.1, 0.05, (4, 6, 8, 12), 768),
    "mae_large": (1e-4, 0.75, 0.2, 0.05, (8, 12, 16, 24), 1024),
    "deepmim_base": (5e-5, 0.9, 0.1, 0.05, (4, 6, 8, 12), 768),
    "localmim_base": (4e-4, 0.65, 0.1, 0.05, (2, 4, 10, 12), 768),
    "localmim_swin_base": (6e-5, 1.0, 0.3, 0.01, None, 512),
}
EXPERIMENTS = {
    "mae_vit_base_1600": "mae_base",
    "mae_vit_large_1600": "mae_large",
    "deepmim_vit_base_clip_1600": "deepmim_base",
    "localmim_vit_base_1600": "localmim_base",
    "localmim_swin_base_pixel_400": "localmim_swin_base",
    "localmim_swin_base_hog_400": "localmim_swin_base",
}


@cache
def run(*words: str) -> dict[str, Any]:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return resolve(hydra.compose("run", list(words)))


def test_every_recipe_has_expected_values() -> None:
    assert {path.stem for path in (CONF / "segment").glob("*.yaml")} - {"none", "small"} == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_recipes_are_the_published_ones_and_called_by_their_file(name: str) -> None:
    found = instantiate(run(f"segment={name}")["segment"])
    values = (found.lr, found.layer_decay, found.drop_path, found.weight_decay, found.depths, found.channels)
    assert values == EXPECTED[name]
    assert (found.size, found.batch_size, found.steps, found.warmup_steps) == (512, 16, 160_000, 1500)
    assert found.name == name
    text = (CONF / "segment" / f"{name}.yaml").read_text()
    assert f"#   mimbench evaluate RUN protocol=segment_upernet segment={name} data=ade20k" in text


def test_defaults_are_the_first_published_recipe_and_the_small_one_builds() -> None:
    assert instantiate(run("segment=mae_base")["segment"]) == SegmentRecipe()
    assert instantiate(run("segment=small")["segment"]).name == "small"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiments_name_their_segmentation(name: str) -> None:
    assert run(f"experiment={name}")["segment"]["name"] == EXPERIMENTS[name]


def test_segmentation_is_part_of_a_run_that_asks_for_it_and_says_what_was_changed() -> None:
    wanted = "protocol=[segment_upernet]"
    published, changed = run(wanted, "segment=small"), run(wanted, "segment=small", "segment.lr=0.01")
    assert instantiate(published["protocol"]["segment_upernet"]).label == "segment-upernet-small"
    assert instantiate(changed["protocol"]["segment_upernet"]).label == "segment-upernet-small+lr=0.01"
    assert len({identity(run(wanted, f"segment={name}")) for name in EXPECTED} | {identity(changed)}) == 6
    with pytest.raises(InstantiationException, match="needs a recipe"):
        instantiate(run(wanted)["protocol"]["segment_upernet"])


def test_a_run_without_segmentation_is_the_same_under_any_recipe() -> None:
    assert len({identity(run(f"segment={name}")) for name in ("none", *EXPECTED)}) == 1


@pytest.mark.parametrize("data", ["scenes", "collages"])
def test_the_demos_ask_for_the_card_of_the_linear_head(data: str) -> None:
    config = run(f"experiment=demo_{data}")
    assert config["data"]["name"] == data
    assert list(config["protocol"]) == ["segment_linear"]
    assert instantiate(config["protocol"]["segment_linear"]) == SegmentLinear()

"""Detection recipes say what was published, and their words compose."""

from functools import cache
from typing import Any

import hydra
import pytest
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from mimbench.evaluation import DetectionRecipe
from mimbench.experiments.config import config_directory, resolve
from mimbench.runs.identity import identity

CONF = config_directory()
# epochs, batch, lr, weight decay, layer decay, drop path
EXPECTED = {
    "vitdet_base": (100, 64, 1e-4, 0.1, 0.7, 0.1),
    "vitdet_large": (100, 64, 1e-4, 0.1, 0.8, 0.4),
    "swin_base": (36, 16, 1e-4, 0.05, 1.0, 0.2),
}
SMALL = {"small": False, "small_frozen": True}  # whether the encoder stays as it is
EXPERIMENTS = {
    "mae_vit_base_1600": "vitdet_base",
    "mae_vit_large_1600": "vitdet_large",
    "deepmim_vit_base_clip_1600": "vitdet_base",
    "localmim_swin_base_pixel_400": "swin_base",
    "localmim_swin_base_hog_400": "swin_base",
}


@cache
def run(*words: str) -> dict[str, Any]:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return resolve(hydra.compose("run", list(words)))


def test_every_recipe_has_expected_values() -> None:
    assert {path.stem for path in (CONF / "detect").glob("*.yaml")} - {"none", *SMALL} == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_recipes_are_the_published_ones_and_called_by_their_file(name: str) -> None:
    recipe = instantiate(run(f"detect={name}")["detect"])
    found = (recipe.epochs, recipe.batch_size, recipe.lr, recipe.weight_decay, recipe.layer_decay, recipe.drop_path)
    assert found == EXPECTED[name]
    assert recipe.name == name
    assert (recipe.image_size, recipe.scale_range, recipe.flip) == (1024, (0.1, 2.0), True)
    text = (CONF / "detect" / f"{name}.yaml").read_text()
    assert f"#   mimbench evaluate RUN protocol=detect_vitdet detect={name} data=coco" in text
    assert "Published for" in text


def test_defaults_are_the_first_published_recipe() -> None:
    assert instantiate(run("detect=vitdet_base")["detect"]) == DetectionRecipe()


@pytest.mark.parametrize("name", EXPECTED)
def test_published_recipes_train_the_encoder_and_are_called_as_before(name: str) -> None:
    config = run("protocol=[detect_vitdet]", f"detect={name}")
    assert config["detect"]["frozen"] is False
    assert instantiate(config["protocol"]["detect_vitdet"]).label == f"detect-{name}"


@pytest.mark.parametrize("name", SMALL)
def test_the_small_recipes_build(name: str) -> None:
    recipe = instantiate(run(f"detect={name}")["detect"])
    assert (recipe.name, recipe.frozen) == (name, SMALL[name])


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiments_name_their_detection(name: str) -> None:
    assert run(f"experiment={name}")["detect"]["name"] == EXPERIMENTS[name]


def test_detection_is_part_of_a_run_that_asks_for_it_and_says_what_was_changed() -> None:
    wanted = "protocol=[detect_vitdet]"
    published, changed = run(wanted, "detect=small"), run(wanted, "detect=small", "detect.layer_decay=0.7")
    assert instantiate(published["protocol"]["detect_vitdet"]).label == "detect-small"
    assert instantiate(changed["protocol"]["detect_vitdet"]).label == "detect-small+layer_decay=0.7"
    assert len({identity(run(wanted, f"detect={name}")) for name in EXPECTED} | {identity(changed)}) == 4
    with pytest.raises(InstantiationException, match="needs a recipe"):
        instantiate(run(wanted)["protocol"]["detect_vitdet"])


def test_a_run_without_detection_is_the_same_under_any_recipe() -> None:
    assert len({identity(run(f"detect={name}")) for name in ("none", *EXPECTED)}) == 1


def test_coco_is_known_by_its_word() -> None:
    source = run("data=coco")["data"]["source"]
    assert (source["train"], source["test"], source["holdout"]) == ("train2017", "val2017", 0.01)

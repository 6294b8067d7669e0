"""The published recipes, against the papers and their released code."""

import math
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from mimbench.data.holdout import stratified_holdout
from mimbench.decoders import CrossBlock
from mimbench.evaluation import FineTuneRecipe
from mimbench.experiments.build import build_model
from mimbench.experiments.config import config_directory, resolve
from mimbench.maskers import MultiBlockMasker
from mimbench.methods import Method
from mimbench.runs.identity import identity
from mimbench.targets import HOGTarget, LatentTarget, PixelTarget, Target, TeacherTarget

CONF = config_directory()
PAGE = Path(__file__).parents[2] / "docs" / "reproduce" / "recipes.md"
IMAGENET = 1_281_167


@dataclass(frozen=True)
class Row:
    """What a published pre-training is.

    steps: Optimizer steps per epoch and of the warm-up.
    lr: Peak and final learning rate.
    encoder: Million trained parameters.
    visible: Cells that stay visible, of how many, and whether a batch shares them.
    decoders: Widths; blocks and heads of each.
    predicted: Cells that are predicted; None: all hidden ones.
    undecayed: Tokens without weight decay.
    decay: Weight decay at the beginning and at the end; None: constant.
    ahead: Whether the schedules step before the optimizer.
    clip: Norm to which gradients are clipped.
    start: Learning rate at which the warm-up begins.
    milestone: Epoch from which on the rate is a tenth, without a cosine.
    """

    batch: int
    epochs: int
    steps: tuple[int, int]
    lr: tuple[float, float]
    encoder: int
    depths: tuple[int, ...]
    visible: tuple[int, int, bool]
    decoders: tuple[tuple[int, ...], int, int]
    targets: tuple[str, ...]
    finetune: str
    predicted: int | None = None
    undecayed: tuple[str, ...] = ()
    crop: tuple[float, float] = (0.2, 1.0)
    size: int = 224
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float | None = None
    start: float = 0.0
    milestone: int | None = None
    decay: tuple[float, float | None] = (0.05, None)
    flip: bool = True
    ahead: bool = False


STEPS = (312, 12_480)  # 4096 images, 40 epochs of warm-up
VIT, VIT_H, SWIN = (49, 196, False), (64, 256, False), (12, 49, True)
PIXEL, CLIP = "pixel 16: 768", "clip 16: 512"
HOG9 = tuple(f"hog {cell}: 27" for cell in (4, 8, 16, 32))
HOG18 = tuple(f"hog with bias {cell}: 54" for cell in (4, 8, 16, 32))
SWIN_HOG = tuple(f"hog with bias {cell}: 54" for cell in (8, 16, 32, 32))
SWIN_PIXEL = ("pixel 8: 192", "pixel 16: 768", "pixel 32: 3072", "pixel 32: 3072")
LOCAL, LOCAL_SWIN = ((256,) * 4, 1, 8), ((64, 128, 128, 128), 1, 4)
DEEP = ((512,) * 4, 4, 16)


def mae(encoder: int, depth: int, finetune: str, visible: Any = VIT, target: str = PIXEL) -> Row:
    decoders = (512,), 8, 16
    return Row(4096, 1600, STEPS, (2.4e-3, 0), encoder, (depth,), visible, decoders, (target,), finetune)


def deepmim(epochs: int, finetune: str, target: str = PIXEL) -> Row:
    return Row(4096, epochs, STEPS, (2.4e-3, 0), 86, (6, 8, 10, 12), VIT, DEEP, (target,) * 4, finetune)


def mirl(epochs: int, encoder: int, depths: Any, finetune: str, decoder: tuple[int, int, int] = (512, 2, 16)) -> Row:
    decoders = (decoder[0],) * (len(depths) - 1), decoder[1], decoder[2]
    return Row(4096, epochs, STEPS, (2.4e-3, 0), encoder, tuple(depths), VIT, decoders, (PIXEL,), finetune)


def mff(epochs: int) -> Row:
    finetune, depths, tokens = "mae_base", (1, 3, 5, 7, 9, 12), ("cls_token", "mask_token")
    decoder, crop = ((512,), 8, 16), (0.75, 0.75)
    return Row(
        4096,
        epochs,
        STEPS,
        (2.4e-3, 0),
        86,
        depths,
        VIT,
        decoder,
        (PIXEL,),
        finetune,
        undecayed=tokens,
        crop=crop,
    )


def crossmae(encoder: int, depth: int, finetune: str, predicted: int, size: str = "base") -> Row:
    decoder = ((256,), 12, 8) if size == "small" else ((512,), 12, 16)
    visible, target = (VIT_H, "pixel 14: 588") if size == "huge" else (VIT, PIXEL)
    # The released code multiplies the rate by the predicted share of the hidden patches, 1 or 1/3.
    lr, depths = 16 * 1.5e-4 * predicted / (visible[1] - visible[0]), tuple(range(depth + 1))
    return Row(4096, 800, STEPS, (lr, 0), encoder, depths, visible, decoder, (target,), finetune, predicted=predicted)


def simmim(epochs: int, encoder: int, depth: int, lr: tuple[float, float, float], visible: Any, **more: Any) -> Row:
    start, peak, last = lr
    target = f"pixel raw {more.pop('cell')}: {more.pop('values')}"
    steps = (625, 6250)
    row = Row(
        2048, epochs, steps, (peak, last), encoder, (depth,), visible, ((), 0, 0), (target,), more.pop("finetune")
    )
    kind = {"crop": (0.67, 1.0), "betas": (0.9, 0.999), "clip": 5.0, "start": start}
    return replace(row, **kind, **more)


# The released rates are per 512 images.
SIMMIM = (4 * 5e-7, 4 * 1e-4, 4 * 1e-5)
ON_SWIN = {"cell": 32, "values": 3072, "size": 192, "undecayed": ("mask_token",)}
TAPS = (2, 4, 10, 12)
S54 = (384, 1, 12)
EXPECTED = {
    "mae_vit_base_1600": mae(86, 12, "mae_base"),
    "mae_vit_large_1600": mae(303, 24, "mae_large"),
    "mae_vit_huge_1600": mae(630, 32, "mae_huge", VIT_H, "pixel 14: 588"),
    "deepmim_vit_base_pixel_300": deepmim(300, "mae_base"),
    "deepmim_vit_base_pixel_1600": deepmim(1600, "mae_base"),
    "deepmim_vit_base_clip_1600": deepmim(1600, "deepmim_clip", CLIP),
    "localmim_vit_base_1600": Row(
        2048, 1600, (625, 25_000), (1.6e-3, 1e-6), 86, TAPS, VIT, LOCAL, HOG9, "localmim_base_1600"
    ),
    "localmim_vit_base_100": Row(
        2048, 100, (625, 6250), (1.6e-3, 1e-6), 86, TAPS, VIT, LOCAL, HOG9, "localmim_base_100"
    ),
    "localmim_vit_large_800": Row(
        4096, 800, STEPS, (2.4e-3, 1e-6), 303, (2, 4, 22, 24), VIT, LOCAL, HOG18, "localmim_large"
    ),
    "localmim_swin_base_pixel_400": Row(
        2048, 400, (625, 25_000), (8e-4, 0), 87, (1, 2, 3, 4), SWIN, LOCAL_SWIN, SWIN_PIXEL, "localmim_swin_base_pixel"
    ),
    "localmim_swin_base_hog_400": Row(
        2048, 400, (625, 25_000), (8e-4, 0), 87, (1, 2, 3, 4), SWIN, LOCAL_SWIN, SWIN_HOG, "localmim_swin_base_hog"
    ),
    "localmim_swin_large_800": Row(
        4096, 800, STEPS, (1.6e-3, 0), 195, (1, 2, 3, 4), SWIN, LOCAL_SWIN, SWIN_HOG, "localmim_swin_large"
    ),
    "mirl_vit_base_300": mirl(300, 86, range(0, 13, 3), "mirl_s54"),
    "mirl_vit_base_800": mirl(800, 86, range(0, 13, 3), "mirl_s54"),
    "mirl_vit_s54_300": mirl(300, 96, range(0, 55, 9), "mirl_s54", S54),
    "mirl_vit_s54_800": mirl(800, 96, range(0, 55, 9), "mirl_s54", S54),
    "mirl_vit_b24_300": mirl(300, 171, range(0, 25, 6), "mirl_s54"),
    "mirl_vit_b48_300": mirl(300, 341, range(0, 49, 8), "mirl_b48"),
    "mirl_vit_b48_800": mirl(800, 341, range(0, 49, 8), "mirl_b48"),
    "simmim_vit_base_800": simmim(
        *(800, 86, 12, SIMMIM, (19, 49, False)),
        **{"cell": 16, "values": 768, "undecayed": ("cls_token", "pos_embed"), "milestone": 700},
        finetune="simmim_vit_base",
    ),
    "simmim_swin_base_100": simmim(
        *(100, 87, 4, (4 * 1e-6, 4 * 2e-4, 4 * 1e-5), (14, 36, False)), **ON_SWIN, finetune="simmim_swin_base_short"
    ),
    "simmim_swin_base_800": simmim(
        *(800, 87, 4, SIMMIM, (14, 36, False)), **ON_SWIN, milestone=700, finetune="simmim_swin_base"
    ),
    "simmim_swin_large_800": simmim(
        *(800, 195, 4, SIMMIM, (14, 36, False)), **ON_SWIN, milestone=700, finetune="simmim_swin_large"
    ),
    "ijepa_vit_huge_300": Row(
        *(2048, 300, (625, 25_000), (1e-3, 1e-6), 630, (32,), (0, 256, False), ((384,), 12, 16), ("latent 14: 1280",)),
        **{"finetune": "mae_huge", "crop": (0.3, 1.0), "betas": (0.9, 0.999), "start": 2e-4, "decay": (0.04, 0.4)},
        **{"flip": False, "ahead": True},
    ),
    "mff_vit_base_300": mff(300),
    "mff_vit_base_800": mff(800),
    "crossmae_vit_small_800": crossmae(22, 12, "mae_base", 147, "small"),
    "crossmae_vit_small_quarter_800": crossmae(22, 12, "mae_base", 49, "small"),
    "crossmae_vit_base_800": crossmae(86, 12, "mae_base", 147),
    "crossmae_vit_large_800": crossmae(303, 24, "mae_large", 147),
    "crossmae_vit_huge_800": crossmae(630, 32, "mae_huge", 64, "huge"),
}

# epochs, batch, peak lr, layer decay, drop path, warm-up, min lr, EMA
FINETUNE = {
    "mae_base": (100, 1024, 2e-3, 0.65, 0.1, 5, 1e-6, None),
    "mae_large": (50, 1024, 4e-3, 0.75, 0.2, 5, 1e-6, None),
    "mae_huge": (50, 1024, 4e-3, 0.75, 0.3, 5, 1e-6, None),
    "mae_base_paper": (100, 1024, 4e-3, 0.75, 0.1, 5, 1e-6, None),
    "mae_large_paper": (50, 1024, 4e-3, 0.75, 0.1, 5, 1e-6, None),
    "mae_huge_paper": (50, 1024, 4e-3, 0.75, 0.2, 5, 1e-6, None),
    "deepmim_clip": (100, 1024, 4e-4, 0.6, 0.1, 5, 1e-6, None),
    "localmim_base_1600": (100, 1024, 2e-3, 0.65, 0.1, 20, 1e-5, None),
    "localmim_base_100": (100, 1024, 4e-3, 0.75, 0.1, 20, 1e-6, None),
    "localmim_large": (50, 1024, 3e-3, 0.75, 0.2, 5, 1e-6, None),
    "localmim_swin_base_pixel": (100, 1024, 4e-3, 0.9, 0.1, 20, 2.5e-7, None),
    "localmim_swin_base_hog": (100, 2048, 4e-3, 0.9, 0.1, 20, 2.5e-7, None),
    "localmim_swin_large": (100, 2048, 2e-3, 0.8, 0.3, 20, 2.5e-7, None),
    "mirl_b48": (60, 2048, 6e-3, 0.88, 0.0, 30, 1e-6, 0.9998),
    "mirl_s54": (100, 2048, 6e-3, 0.88, 0.1, 20, 1e-6, 0.9998),
    "simmim_vit_base": (100, 2048, 5e-3, 0.65, 0.1, 20, 1e-6, None),
    "simmim_swin_base_short": (100, 2048, 5e-3, 0.9, 0.1, 20, 1e-6, None),
    "simmim_swin_base": (100, 2048, 5e-3, 0.8, 0.1, 20, 1e-6, None),
    "simmim_swin_large": (100, 2048, 5e-3, 0.7, 0.2, 20, 1e-6, None),
}

recipes = pytest.mark.parametrize("name", EXPECTED)


@cache
def recipe(name: str) -> dict[str, Any]:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config = resolve(hydra.compose("run", [f"experiment={name}"]))
    if name.endswith("clip_1600"):
        config["target"]["teacher"]["pretrained"] = False
    return config


@cache
def method(name: str) -> Method:
    with torch.device("meta"):
        built = build_model(recipe(name))[1]
    assert built is not None
    return built


def optimizer(name: str) -> torch.optim.Optimizer:
    # The fused kernel refuses the meta device.
    return replace(method(name).recipe, fused=False).optimizer(method(name), recipe(name)["data"]["batch_size"])


def describe(target: Target) -> str:
    if isinstance(target, LatentTarget):
        return f"latent {target.cell}: {target.dim}"
    if isinstance(target, HOGTarget):
        return f"hog {'with bias ' * (target.offset is not None)}{target.cell}: {target.dim}"
    kind = "clip" if isinstance(target, TeacherTarget) else "pixel" if target.normalize else "pixel raw"
    return f"{kind} {target.cell}: {target.dim}"


def test_every_experiment_but_the_demo_has_expected_values() -> None:
    demos = {"demo", "demo_scenes", "demo_collages", "fashion"}
    assert {path.stem for path in (CONF / "experiment").glob("*.yaml")} - demos == EXPECTED.keys()
    assert {path.stem for path in (CONF / "finetune").glob("*.yaml")} - {"none", "small"} == FINETUNE.keys()


@recipes
def test_recipes_read_and_predict_what_was_published(name: str) -> None:
    built, row = method(name), EXPECTED[name]
    if name.startswith("simmim"):
        assert built.depths == row.depths
        assert (describe(built.target),) == row.targets
        assert built.target.absolute
        return
    decoders = getattr(built, "decoders", None) or [getattr(built, "decoder", None) or built.predictor]
    blocks = [list(decoder.blocks) for decoder in decoders]
    targets = getattr(built, "targets", None) or [built.target]
    assert built.depths == row.depths
    assert tuple(decoder.mask_token.shape[2] for decoder in decoders) == row.decoders[0]
    assert {len(found) for found in blocks} == {row.decoders[1]}
    attentions = [getattr(block, "attn", None) or block.cross_attn for found in blocks for block in found]
    assert {attention.num_heads for attention in attentions} == {row.decoders[2]}
    assert {type(block) is CrossBlock for found in blocks for block in found} == {name.startswith("mirl")}
    assert tuple(describe(target) for target in targets) == row.targets
    assert all(target.normalize for target in targets if isinstance(target, PixelTarget))


@recipes
def test_recipes_hide_as_many_cells_as_published(name: str) -> None:
    masker, grid = method(name).masker, method(name).mask_grid
    if isinstance(masker, MultiBlockMasker):
        assert (masker.num_targets, masker.num_contexts, masker.released_quirks) == (4, 1, False)
        assert list(masker.target_scale + masker.target_aspect + masker.context_scale) == [
            0.15,
            0.2,
            0.75,
            1.5,
            0.85,
            1,
        ]
        assert grid == (16, 16)
        return
    visible, cells, _ = EXPECTED[name].visible
    assert (masker.num_visible(grid), grid[0] * grid[1], masker.shared) == EXPECTED[name].visible
    predicted = cells - visible - masker.num_ignored(grid, method(name).predicted_ratio)
    assert predicted == (EXPECTED[name].predicted or cells - visible)


@recipes
def test_optimizer_is_the_published_one(name: str) -> None:
    row, found = EXPECTED[name], optimizer(name)
    assert recipe(name)["data"]["batch_size"] == row.batch
    assert found.defaults["lr"] == pytest.approx(row.lr[0], rel=1e-12)
    assert tuple(found.defaults["betas"]) == row.betas
    assert method(name).recipe.clip_norm == row.clip
    assert [group["weight_decay"] for group in found.param_groups] == [row.decay[0], 0.0]
    assert method(name).recipe.final_weight_decay == row.decay[1]
    assert recipe(name)["optim"]["ema"] is None
    assert recipe(name)["trainer"]["precision"] == "bf16-mixed"


@recipes
def test_learning_rate_follows_the_released_schedule_over_imagenet(name: str) -> None:
    row, found = EXPECTED[name], optimizer(name)
    per_epoch = IMAGENET // row.batch
    assert recipe(name)["budget"] == {"epochs": row.epochs, "steps": None}
    assert (per_epoch, per_epoch * recipe(name)["optim"]["warmup_epochs"]) == row.steps
    total, warmup = row.epochs * per_epoch, row.steps[1]
    factor = method(name).recipe.scheduler(found, total, per_epoch).lr_lambdas[0]
    rates = {step: row.lr[0] * factor(step) for step in (0, 1, warmup - 1, warmup, total // 2, total - 1, total)}
    if row.ahead:
        assert method(name).recipe.ahead
        rates = {step + 1: rate for step, rate in rates.items() if step < total}
    else:
        assert (rates[0], rates[warmup]) == (pytest.approx(row.start), row.lr[0])
        assert rates[total] == pytest.approx(row.lr[1], rel=1e-9, abs=1e-18)
    for step, rate in rates.items():
        assert rate == pytest.approx(released_rate(step / per_epoch, row), rel=1e-9, abs=1e-18)


def released_rate(epoch: float, row: Row) -> float:
    """MAE's released schedule, a function of the fractional epoch; the other three have the same."""
    peak, floor = row.lr
    warmup = row.steps[1] / row.steps[0]
    if epoch < warmup:
        return row.start + (peak - row.start) * epoch / warmup
    if row.milestone is not None:  # SimMIM's released schedule
        return peak * 0.1 if epoch >= row.milestone else peak
    share = (epoch - warmup) / (row.epochs - warmup)
    return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * share))


@recipes
def test_every_trained_parameter_is_in_one_group_and_vectors_are_not_decayed(name: str) -> None:
    decayed, undecayed = ({id(p) for p in group["params"]} for group in optimizer(name).param_groups)
    assert not decayed & undecayed
    for parameter_name, parameter in method(name).named_parameters():
        # SimMIM's released code means to spare the tables, but does not.
        table = parameter_name.endswith("relative_position_bias_table") and not name.startswith("simmim")
        vector = parameter.ndim == 1 or table
        vector |= "swin" in name and parameter_name.endswith("mask_token")
        vector |= parameter_name.rpartition(".")[2] in EXPECTED[name].undecayed
        where = (undecayed if vector else decayed) if parameter.requires_grad else set()
        assert (id(parameter) in where) == parameter.requires_grad, parameter_name
        assert parameter.requires_grad or id(parameter) not in decayed | undecayed, parameter_name


@recipes
def test_tokens_are_decayed_and_positions_teachers_and_magnitudes_are_frozen(name: str) -> None:
    groups = optimizer(name).param_groups
    undecayed = ("mask_token",) if "swin" in name else EXPECTED[name].undecayed
    decayed, trained = {id(p) for p in groups[0]["params"]}, {id(p) for group in groups for p in group["params"]}
    for parameter_name, parameter in method(name).named_parameters():
        if parameter_name.endswith(("pos_embed", "weight.original0")) or ".teacher." in parameter_name:
            assert id(parameter) not in trained
        elif parameter_name.rpartition(".")[2] in undecayed:
            assert id(parameter) in trained - decayed
        elif parameter_name.endswith(("cls_token", "mask_token")):
            assert id(parameter) in decayed


@recipes
def test_encoders_have_the_published_size(name: str) -> None:
    trained = sum(p.numel() for p in method(name).encoder.parameters() if p.requires_grad)
    assert trained / 1e6 == pytest.approx(EXPECTED[name].encoder, abs=0.51)


@recipes
def test_data_are_imagenet_as_published_less_one_image_per_class(name: str) -> None:
    data, row = recipe(name)["data"], EXPECTED[name]
    assert (data["image_size"], tuple(data["crop_scale"]), data["flip"]) == (row.size, row.crop, row.flip)
    smallest_and_largest = torch.tensor([0] * 732 + [1] * 1300)
    assert len(stratified_holdout(smallest_and_largest, data["source"]["holdout"], seed=0).held) == 2
    assert (IMAGENET - 1000) // EXPECTED[name].batch == IMAGENET // EXPECTED[name].batch


@recipes
def test_recipes_name_their_fine_tuning(name: str) -> None:
    wanted = EXPECTED[name].finetune
    assert f"override /finetune: {wanted}\n" in (CONF / "experiment" / f"{name}.yaml").read_text()
    assert recipe(name)["finetune"] == finetune(wanted)


@cache
def finetune(name: str) -> dict[str, Any]:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return resolve(hydra.compose("run", [f"finetune={name}"]))["finetune"]


@pytest.mark.parametrize("name", FINETUNE)
def test_fine_tuning_is_the_published_one(name: str) -> None:
    found = finetune(name)
    scaled = found["base_lr"] * found["batch_size"] / 256 if found["lr"] is None else found["lr"]
    assert (found["base_lr"] is None) != (found["lr"] is None)
    keys = ("layer_decay", "drop_path", "warmup_epochs", "min_lr", "ema")
    assert (found["epochs"], found["batch_size"], pytest.approx(scaled, rel=1e-12)) == FINETUNE[name][:3]
    assert tuple(found[key] for key in keys) == FINETUNE[name][3:]


@pytest.mark.parametrize("name", FINETUNE)
def test_fine_tuning_augments_as_published(name: str) -> None:
    found, paper = finetune(name), name.endswith("_paper")
    assert found.keys() == finetune("mae_base").keys()
    assert (found["weight_decay"], found["betas"]) == (0.05, [0.9, 0.999])
    assert (found["label_smoothing"], found["mixup"], found["cutmix"]) == (0.1, 0.8, 1.0)
    assert found["randaugment"] == "rand-m9-mstd0.5-inc1"
    assert found["crop_scale"] == [0.08, 1.0]
    chosen = (found["random_erasing"], found["pooling"], found["train_positions"])
    assert chosen == ((0.0, "token", False) if paper else (0.25, "avg", True))


@pytest.mark.parametrize("name", [*FINETUNE, "small"])
def test_fine_tuning_recipes_build_and_are_called_by_their_file(name: str) -> None:
    recipe = instantiate(finetune(name))
    assert recipe.name == name
    assert recipe.peak_lr > 0


def test_fine_tuning_defaults_are_the_first_published_recipe() -> None:
    assert instantiate(finetune("mae_base")) == FineTuneRecipe()


@pytest.mark.parametrize("word", ["finetune", "partial_finetune"])
def test_fine_tuning_is_part_of_a_run_that_asks_for_it_and_says_what_was_changed(word: str) -> None:
    def run(*words: str) -> dict[str, Any]:
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            return resolve(hydra.compose("run", [f"protocol=[{word}]", *words]))

    published, changed = run("finetune=mae_base"), run("finetune=mae_base", "finetune.layer_decay=0.7")
    label = instantiate(published["protocol"][word]).label
    assert label == f"{word.replace('_', '-')}-mae_base"
    assert instantiate(changed["protocol"][word]).label == f"{label}+layer_decay=0.7"
    assert len({identity(run(f"finetune={name}")) for name in ("mae_base", "mae_large")} | {identity(changed)}) == 3
    with pytest.raises(InstantiationException, match="needs a recipe"):
        instantiate(run()["protocol"][word])


@recipes
def test_lab_notes_give_command_result_and_cost(name: str) -> None:
    text = (CONF / "experiment" / f"{name}.yaml").read_text()
    assert f"#   mimbench run experiment={name} " in text
    assert re.search(r"fine-tuned|above MAE|linear accuracy", text)
    assert "# Cost: " in text


def test_the_page_of_recipes_lists_all_with_the_results_of_their_lab_notes() -> None:
    rows = [line.split("|") for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    listed = {row[1].strip(" `"): row[2].strip() for row in rows}
    assert listed.keys() == EXPECTED.keys() | FINETUNE.keys()
    for name in EXPECTED:
        assert listed[name] in (CONF / "experiment" / f"{name}.yaml").read_text(), name

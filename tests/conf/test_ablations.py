"""Every ablation of the papers composes on everything that is embedded."""

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from mimbench.core.dotted import flatten
from mimbench.core.errors import UserError
from mimbench.experiments.build import build_on_meta, check_parts
from mimbench.experiments.composition.compose import composer
from mimbench.experiments.config import config_directory, describe, resolve
from mimbench.reporting.published import load
from mimbench.runs.identity import identity

MODEL = ("encoder", "method", "masker", "target", "budget")  # what can be refused without data
ABLATIONS = sorted(path.stem for path in (config_directory() / "ablation").glob("*.yaml"))


def cells(*words: str) -> list[tuple[dict, list[str]]]:
    """Resolved configuration and words of every job."""
    with composer(words) as hydra:
        jobs = hydra.jobs()
        return [(resolve(config), job) for config, job in zip(hydra.configs(jobs), jobs, strict=True)]


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_every_ablation_can_exist_on_every_embedded_source(ablation: str) -> None:
    found = cells(f"+ablation={ablation}", "data=photos,digits,shapes,scenes,collages", "encoder.depth=12", "seed=0")
    assert {config["data"]["name"] for config, _ in found} == {"photos", "digits", "shapes", "scenes", "collages"}
    assert {config["sweep"] for config, _ in found} == {ablation}
    models = {json.dumps([config[key] for key in MODEL]): config for config, _ in found}
    refused = [reason for config in models.values() if (reason := check_parts(config)[1])]
    # Hybrid targets learn from a run that somebody has to name.
    assert all("give a finished MAE run" in reason for reason in refused) if "hybrid" in ablation else refused == []


def test_a_grid_becomes_axes_and_words_of_the_command_line_have_the_last_say() -> None:
    found = cells("+ablation=mae_mask_ratio", "masker.ratio=0.5,0.6", "encoder.depth=2", "seed=0,1")
    assert [config["masker"]["ratio"] for config, _ in found] == [0.5, 0.5, 0.6, 0.6]
    runs = [describe(config, words, 2) for config, words in found]
    assert len({run.identity for run in runs}) == 4
    assert [run.axes["masker.ratio"] for run in runs] == [0.5, 0.5, 0.6, 0.6]
    assert "ablation" not in runs[0].axes


def test_an_ablation_composes_with_an_experiment() -> None:
    found = cells("+ablation=mae_decoder_depth", "experiment=demo")
    assert [config["method"]["num_blocks"] for config, _ in found] == [1, 2, 4, 8, 12]
    assert {config["method"]["dim"] for config, _ in found} == {64}
    assert {config["sweep"] for config, _ in found} == {"mae_decoder_depth"}


@pytest.mark.parametrize("ablation", [name for name in ABLATIONS if "claim" not in name])
def test_a_decoder_is_no_larger_than_a_small_encoder(ablation: str) -> None:
    for config, _ in cells(f"+ablation={ablation}"):
        method, encoder = config["method"], config["encoder"]
        grid = ("mae_decoder", "localmim_decoder", "deepmim_decoder", "mirl_decoder")
        if not ablation.startswith(grid):
            assert method["dim"] <= encoder["width"]
            assert method["num_blocks"] <= encoder["depth"] / 2
            assert method["num_heads"] == encoder["num_heads"]


def test_the_first_example_trains_fewer_decoder_than_encoder_parameters() -> None:
    (config, _), *_ = cells("+ablation=mae_mask_ratio", "data=photos")
    encoder, method = build_on_meta(config)
    assert method is not None
    whole = sum(p.numel() for p in method.parameters())
    assert whole < 2 * sum(p.numel() for p in encoder.parameters())


def test_large_encoders_and_what_is_given_keep_their_decoders() -> None:
    def decoder(*words: str) -> list[int]:
        (config, _), *_ = cells("+ablation=mae_mask_ratio", *words)
        return [config["method"][key] for key in ("dim", "num_blocks", "num_heads")]

    assert decoder("experiment=mae_vit_large_1600") == [512, 8, 16]
    assert decoder("encoder=vit_base", "data=folder") == [512, 8, 16]
    assert decoder("method.dim=512") == [512, 2, 16]
    assert decoder("decoder=published") == [512, 8, 16]
    assert decoder("experiment=demo") == [64, 1, 4]


def test_without_an_ablation_a_decoder_is_as_published() -> None:
    [(config, _)] = cells("method=mae")
    assert [config["method"][key] for key in ("dim", "num_blocks", "num_heads")] == [512, 8, 16]


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_every_ablation_says_where_it_is_from_and_what_it_costs(ablation: str) -> None:
    path: Path = config_directory() / "ablation" / f"{ablation}.yaml"
    head = [line for line in path.read_text().splitlines() if line.startswith("#")]
    text = " ".join(head)
    assert "arXiv" in text
    assert "Cost:" in text
    assert f"+ablation={ablation}" in text
    assert OmegaConf.load(path).sweep == ablation


@pytest.mark.parametrize("depth", [4, 8, 24])
def test_deepmims_taps_follow_the_depth(depth: int) -> None:
    found = cells("+ablation=deepmim_taps", f"encoder.depth={depth}")
    assert [check_parts(config) for config, _ in found] == [(depth, None)] * 4


def test_a_claims_measurements_name_runs_of_its_own_sweep() -> None:
    for name in (name for name in ABLATIONS if "claim" in name):
        own = cells(f"+ablation={name}")
        seeds = {config["seed"] for config, _ in own}
        assert seeds == set(range(5)), name
        for measurement in own[0][0]["claim"]["measurements"]:
            for term in measurement["terms"]:
                fitting = [config for config, _ in own if matches(config, term["where"])]
                assert sorted(config["seed"] for config in fitting) == sorted(seeds), (name, term)


def matches(config: dict, where: dict) -> bool:
    flat = flatten(config)
    names = {"method": "method.name", "depth": "encoder.depth"}
    return all(flat[names.get(key, key)] == value for key, value in where.items())


def test_a_claim_changes_no_identity() -> None:
    (config, _), *_ = cells("+ablation=claim_deep_supervision")
    assert identity(config) == identity({key: value for key, value in config.items() if key != "claim"})


def test_every_published_ablation_exists_and_its_rows_belong_to_cells_of_the_grid() -> None:
    rows = [row for row in load() if row.ablation]
    for name in {row.ablation for row in rows}:
        configs = [flatten(config) for config, _ in cells(f"+ablation={name}")]
        for row in (row for row in rows if row.ablation == name):
            fitting = [c for c in configs if all(c.get(key) == value for key, value in row.where.items())]
            assert fitting, (name, row.where)


def test_several_ablations_at_once_are_refused() -> None:
    with pytest.raises(UserError, match="call the command once for each"):
        cells("+ablation=mae_target,mae_mask_ratio")

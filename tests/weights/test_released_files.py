"""Files as the released codes write them go in completely and come out bit for bit."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from cases.base import Case

from mimbench.cli.weights import main
from mimbench.methods import Method
from mimbench.weights import export_weights, load_method, read_file, read_state_dict, recognise
from mimbench.weights.architecture import build
from mimbench.weights.formats import FORMATS

NAMES = {"MAE": "mae", "DeepMIM": "deepmim", "LocalMIM ViT": "localmim-vit", "MIRL": "mirl"}
NAMES |= {"MAE fine-tuning": "mae-finetune", "LocalMIM Swin with released quirks": "localmim-swin"}


def as_words(case: Case) -> list[str]:
    """What shapes do not tell of a small model."""
    words = ["--decoder-heads", str(case.config["decoder_num_heads"])] if "decoder_num_heads" in case.config else []
    heads = case.config["num_heads"]
    return words if isinstance(heads, list) else [*words, "--num-heads", str(heads)]


def test_names_and_shapes_tell_format_and_architecture(names: Case):
    found = recognise({name: torch.empty(shape, device="meta") for name, shape in names.shapes.items()})
    assert found.format == NAMES[names.format.name]
    with torch.device("meta"):
        module = build(found.architecture.completed(found.format))
    exported = FORMATS[found.format].export(module)
    assert {name: tuple(tensor.shape) for name, tensor in exported.items()} == names.shapes


def test_the_papers_heads_are_taken(names: Case):
    found = recognise({name: torch.empty(shape, device="meta") for name, shape in names.shapes.items()})
    heads = {128: 4, 384: 12, 768: 12, 1024: 16}  # Swin-B, MIRL's S-54, ViT-B, ViT-L
    architecture = found.architecture.completed(found.format)
    assert architecture.num_heads is not None
    assert architecture.num_heads[0] == heads[architecture.width]
    alone = replace(found.architecture, branches=None).completed(found.format)
    assert alone.num_heads == architecture.num_heads


def test_small_models_have_the_architecture_they_were_built_with(case: Case):
    found = recognise({name: torch.from_numpy(value) for name, value in case.released.items()}).architecture
    built = case.build()
    assert isinstance(built, Method)
    assert found.branches is not None
    assert found.branches.depths == built.depths[-len(found.branches.depths) :]
    assert found.image_size == case.config["img_size"]
    assert found.branches.num_blocks == case.config["decoder_depth"]
    assert found.branches.bins == (case.config.get("hog_nbins") if "hog_enc.0.conv.weight" in case.shapes else None)


def test_files_go_in_and_out_bit_for_bit(case: Case, save_released: Callable[[Case], Path], tmp_path: Path):
    path = save_released(case)
    round_trip(case, path, tmp_path, as_words(case))


def test_an_imported_method_is_the_released_one(case: Case, save_released: Callable[[Case], Path], tmp_path: Path):
    quirks = ["--released-quirks"] if "localmim_swin" in str(type(case)) else []
    assert main(["import", str(save_released(case)), "--out", str(tmp_path / "in"), *as_words(case), *quirks]) == 0
    expected, method = case.build(), case.build()
    case.format.load({name: torch.from_numpy(value) for name, value in case.released.items()}, expected)
    load_method(tmp_path / "in", method)
    loaded = method.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in expected.state_dict().items())


def test_the_encoder_alone_is_the_same_encoder(case: Case, save_released: Callable[[Case], Path], tmp_path: Path):
    path, heads = str(save_released(case)), as_words(case)
    assert main(["import", path, "--out", str(tmp_path / "all"), *heads]) == 0
    assert main(["import", path, "--out", str(tmp_path / "part"), *heads, "--encoder-only"]) == 0
    whole, part = (read_state_dict(tmp_path / name / "encoder.safetensors") for name in ("all", "part"))
    assert whole.keys() == part.keys()
    assert all(torch.equal(tensor, part[name]) for name, tensor in whole.items())
    assert not (tmp_path / "part" / "method.safetensors").exists()
    assert json.loads((tmp_path / "part" / "weights.json").read_text())["entries"].keys() == case.shapes.keys()


@pytest.mark.slow
def test_full_size_files_go_in_and_out_bit_for_bit(names: Case, save_released: Callable[[Case], Path], tmp_path: Path):
    round_trip(names, save_released(names), tmp_path, [])


def round_trip(case: Case, path: Path, tmp_path: Path, words: list[str]) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    name = NAMES[case.format.name]
    assert main(["import", str(path), "--format", name, "--out", str(first), *words]) == 0
    notes = json.loads((first / "weights.json").read_text())
    assert notes["entries"].keys() == case.shapes.keys()
    fates = {entry: fate["fate"] for entry, fate in notes["entries"].items()}
    assert set(fates.values()) <= {"used", "created by us"}
    tables = ("decoder_pos_embed", "pos_embed", "conv.weight", "relative_position_index")
    assert all(any(table in entry for table in tables) for entry, fate in fates.items() if fate == "created by us")
    (released,) = export_weights(first, "released", tmp_path / "released.safetensors")
    given = read_file(path).state
    out = read_state_dict(released)
    assert out.keys() == given.keys()
    used = [entry for entry, fate in fates.items() if fate == "used"]
    assert all(torch.equal(out[entry], given[entry]) for entry in used)
    assert all(torch.allclose(out[entry], given[entry].to(out[entry]), rtol=0, atol=1e-6) for entry in out)
    assert main(["import", str(released), "--format", name, "--out", str(again), *words]) == 0
    for file in ("encoder.safetensors", "method.safetensors"):
        if name == "mae-finetune" and file == "method.safetensors":
            assert not (first / file).exists()
            continue
        before, after = read_state_dict(first / file), read_state_dict(again / file)
        assert before.keys() == after.keys()
        assert all(torch.equal(tensor, after[entry]) for entry, tensor in before.items())

"""Files as the released codes write them go in completely and come out bit for bit."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from cases.base import Case
from round_trips import NAMES, as_words, round_trip

from mimbench.cli.weights import main
from mimbench.methods import Method
from mimbench.weights import load_method, read_state_dict, recognize
from mimbench.weights.building import build
from mimbench.weights.formats import FORMATS


def test_names_and_shapes_tell_format_and_architecture(names: Case):
    found = recognize({name: torch.empty(shape, device="meta") for name, shape in names.shapes.items()})
    assert found.format == NAMES[names.format.name]
    with torch.device("meta"):
        module = build(found.architecture.completed(found.format))
    exported = FORMATS[found.format].export(module)
    assert {name: tuple(tensor.shape) for name, tensor in exported.items()} == names.shapes


def test_the_papers_heads_are_taken(names: Case):
    found = recognize({name: torch.empty(shape, device="meta") for name, shape in names.shapes.items()})
    heads = {128: 4, 384: 12, 768: 12, 1024: 16}  # Swin-B, MIRL's S-54, ViT-B, ViT-L
    architecture = found.architecture.completed(found.format)
    assert architecture.num_heads is not None
    assert architecture.num_heads[0] == heads[architecture.width]
    alone = replace(found.architecture, branches=None).completed(found.format)
    assert alone.num_heads == architecture.num_heads


def test_small_models_have_the_architecture_they_were_built_with(case: Case):
    found = recognize({name: torch.from_numpy(value) for name, value in case.released.items()}).architecture
    built = case.build()
    assert isinstance(built, Method)
    assert found.branches is not None
    # Shapes do not tell which blocks MFF reads.
    assert found.branches.depths == () or found.branches.depths == built.depths[-len(found.branches.depths) :]
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

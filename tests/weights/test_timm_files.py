"""timm's plain ViTs that differ from the papers', by layer scale, normalized queries and more, go in as they are."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mimbench.cli.weights import main
from mimbench.encoders import timm_vit
from mimbench.targets import TimmTeacher
from mimbench.weights import import_weights, load_encoder, read_file

SIZE = 56
NAMES = {
    "deit3_small_patch16_224": {"init_values": 1e-5, "no_embed_class": True},
    "vit_small_patch14_reg4_dinov2": {"init_values": 1e-5, "no_embed_class": True},
    "vit_base_patch16_clip_quickgelu_224": {"pre_norm": True},
    "vit_medium_patch16_reg4_gap_256": {
        "init_values": 1e-5,
        "no_embed_class": True,
        "class_token": False,
        "fc_norm": True,
    },
    "vit_so150m2_patch16_reg1_gap_256": {
        "class_token": False,
        "qkv_bias": False,
        "init_values": 1e-5,
        "fc_norm": True,
    },
}


def trunk(name: str) -> torch.nn.Module:
    """A model of timm with two blocks and with no entry as it was drawn."""
    torch.manual_seed(0)
    size = SIZE if "patch14" in name else 64
    model = timm.create_model(name, num_classes=0, img_size=size, depth=2, dynamic_img_size=False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape))
    return model.eval()


def images(model: Any) -> Tensor:
    return torch.randn(2, 3, *model.patch_embed.img_size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NAMES)
def test_a_timm_file_goes_in_and_out_bit_for_bit(name: str, tmp_path: Path):
    model: Any = trunk(name)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    heads = str(model.blocks[0].attn.num_heads)
    assert main(["import", str(tmp_path / "w.safetensors"), "--out", str(tmp_path / "in"), "--num-heads", heads]) == 0
    out = tmp_path / "out.safetensors"
    assert main(["export", str(tmp_path / "in"), "--format", "timm", "--out", str(out)]) == 0
    exported = load_file(out)
    assert exported.keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, exported[entry]) for entry, tensor in model.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_the_differences_are_told_by_the_file(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    model: Any = trunk(name)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    imported = import_weights(read_file(tmp_path / "w.safetensors"), num_heads=model.blocks[0].attn.num_heads)
    assert imported.architecture.timm == NAMES[name]
    assert main(["inspect", str(tmp_path / "w.safetensors")]) == 0
    assert "unlike MAE's" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["deit3_small_patch16_224", "vit_small_patch14_reg4_dinov2"])
def test_an_imported_file_is_evaluated_frozen_as_timm_computes_it(name: str, tmp_path: Path):
    source: Any = timm_vit(name, SIZE if "patch14" in name else 64)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    save_file(source.trunk.state_dict(), tmp_path / "w.safetensors")
    assert main(["import", str(tmp_path / "w.safetensors"), "--format", "timm", "--out", str(tmp_path / "in")]) == 0
    encoder: Any = timm_vit(name, SIZE if "patch14" in name else 64).eval()
    load_encoder(tmp_path / "in", encoder)
    with torch.no_grad():
        inputs = images(encoder.trunk)
        found = encoder(inputs, [encoder.depth])[encoder.depth].sequence
        torch.testing.assert_close(found, source.eval().trunk.forward_features(inputs))


def test_layer_scaled_vits_with_registers_teach_without_their_prefix_tokens():
    teacher = TimmTeacher("vit_small_patch14_reg4_dinov2", SIZE, pretrained=False).eval()
    with torch.no_grad():
        inputs = images(teacher.tower)
        found = teacher(inputs)
        expected = teacher.tower.forward_features(inputs)[:, 5:]
    assert found.shape == (2, 4, 4, 384)
    torch.testing.assert_close(found.flatten(1, 2), expected)


@pytest.mark.parametrize("name", ["vit_small_patch16_18x2_224", "vit_giant_patch14_reg4_dinov2"])
def test_blocks_of_another_kind_are_refused_with_a_way_out(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    size = 56 if "patch14" in name else 64
    model = timm.create_model(name, num_classes=0, img_size=size, depth=2, embed_dim=48, num_heads=3)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    assert main(["import", str(tmp_path / "w.safetensors"), "--out", str(tmp_path / "in"), "--num-heads", "3"]) == 2
    assert "no blocks of a plain ViT; timm's own models of other kinds work by name" in capsys.readouterr().err
    assert not (tmp_path / "in").exists()

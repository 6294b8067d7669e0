"""Hugging Face's ViTs go in and out: every entry, and the same features."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import ViTConfig, ViTMAEConfig, ViTMAEForPreTraining, ViTMAEModel, ViTModel
from transformers.utils import logging

from mimbench.core import Mask, sincos_2d
from mimbench.encoders import vit
from mimbench.weights import export_weights, import_weights, read_file, recognize, write_import
from mimbench.weights.formats.huggingface import from_transformers, to_transformers

logging.disable_progress_bar()
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
    "layer_norm_eps": 1e-6,
}
DECODER = {
    "decoder_hidden_size": 16,
    "decoder_num_hidden_layers": 2,
    "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 32,
}
CLEAN: dict[str, Any] = {"missing_keys": set(), "unexpected_keys": set(), "mismatched_keys": set(), "error_msgs": []}


def images() -> Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def scrambled(module: torch.nn.Module) -> None:
    """Biases and norms too, so that nothing is equal by chance; fixed tables stay."""
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=draws))


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, torch.nn.Module]:
    """An encoder of ours as a run leaves it."""
    encoder = vit(32, 8, 32, 2, 4, mlp_ratio=2.0)
    scrambled(encoder)
    (tmp_path / "run").mkdir()
    save_file(encoder.trunk.state_dict(), tmp_path / "run" / "encoder.safetensors")
    return tmp_path / "run", encoder.eval()


def test_vit_model_takes_an_export_completely_and_sees_the_same(run: tuple[Path, Any], tmp_path: Path):
    directory, encoder = run
    export_weights(directory, "transformers-vit", tmp_path / "out", num_heads=4)
    model, loaded = ViTModel.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert loaded == CLEAN
    with torch.no_grad():
        output, ours = model.eval()(images()), encoder(images(), [2])[2].sequence
    torch.testing.assert_close(output.last_hidden_state, ours, rtol=0, atol=1e-5)  # float32, other kernels
    torch.testing.assert_close(output.pooler_output, output.last_hidden_state[:, 0].tanh())


def test_vit_model_without_pooler_takes_an_export_without(run: tuple[Path, Any], tmp_path: Path):
    export_weights(run[0], "transformers-vit", tmp_path / "out", num_heads=4, pooler=False)
    _, loaded = ViTModel.from_pretrained(tmp_path / "out", output_loading_info=True, add_pooling_layer=False)
    assert loaded == CLEAN


def test_vitmae_model_takes_an_export_completely_and_sees_the_same(run: tuple[Path, Any], tmp_path: Path):
    directory, encoder = run
    export_weights(directory, "transformers-vitmae", tmp_path / "out", num_heads=4)
    model, loaded = ViTMAEModel.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert loaded == CLEAN
    model.config.mask_ratio = 0.0
    in_order = torch.arange(16.0).expand(2, -1)
    with torch.no_grad():
        theirs = model.eval()(images(), noise=in_order).last_hidden_state
        ours = encoder(images(), [2])[2].sequence
    torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-5)


def released(folder: Path) -> ViTMAEForPreTraining:
    model = ViTMAEForPreTraining(ViTMAEConfig(**SIZES, **DECODER)).eval()
    scrambled(model)
    # Published files have the table; transformers 5 leaves zeros in a fresh model.
    model.decoder.decoder_pos_embed.data = sincos_2d(16, (4, 4), 1)
    model.save_pretrained(folder)
    return model


def imported(folder: Path, out: Path) -> Path:
    file = read_file(folder / "model.safetensors")
    write_import(import_weights(file, "transformers-vitmae", num_heads=4, decoder_heads=2), file, out)
    return out


def test_a_pretraining_model_goes_in_and_out_bit_for_bit(tmp_path: Path):
    model = released(tmp_path / "hub")
    directory = imported(tmp_path / "hub", tmp_path / "in")
    export_weights(directory, "transformers-vitmae", tmp_path / "out", decoder=True)
    again, loaded = ViTMAEForPreTraining.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert loaded == CLEAN
    before, after = model.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before if name != "decoder.decoder_pos_embed")
    torch.testing.assert_close(after["decoder.decoder_pos_embed"], before["decoder.decoder_pos_embed"])
    file, _ = export_weights(directory, "released", tmp_path / "released.safetensors")
    assert recognize(load_file(file)).format == "transformers-vitmae"


def test_a_pretraining_model_loses_as_much_here_as_there(tmp_path: Path):
    model = released(tmp_path / "hub")
    file = read_file(tmp_path / "hub" / "model.safetensors")
    method: Any = import_weights(file, "transformers-vitmae", num_heads=4, decoder_heads=2).module
    noise = torch.rand(2, 16, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        theirs = model(images(), noise=noise)
        hidden = theirs.mask.reshape(2, 4, 4).bool()
        mask = Mask(hidden, 4, False)
        (ours,) = method.predict(method.encoder(images(), method.depths, mask))
    torch.testing.assert_close(ours, theirs.logits, rtol=0, atol=1e-4)  # float32, other order of tokens


def test_both_spellings_of_transformers_are_read():
    torch.manual_seed(0)
    for model in (ViTMAEForPreTraining(ViTMAEConfig(**SIZES, **DECODER)), ViTModel(ViTConfig(**SIZES))):
        in_memory = from_transformers(model.state_dict())
        in_files = from_transformers(to_transformers(in_memory, "vit."))
        assert in_memory.keys() == in_files.keys()
        assert all(torch.equal(tensor, in_files[name]) for name, tensor in in_memory.items())
        assert in_memory["blocks.1.attn.qkv.weight"].shape == (96, 32)


def test_the_pooler_is_left_out_by_name_and_nothing_else_is(tmp_path: Path):
    ViTModel(ViTConfig(**SIZES)).save_pretrained(tmp_path / "hub")
    file = read_file(tmp_path / "hub" / "model.safetensors")
    fates = import_weights(file, num_heads=4).fates
    assert fates.keys() == file.state.keys()
    assert {name for name, fate in fates.items() if fate["fate"] == "left out"} == {
        "pooler.dense.weight",
        "pooler.dense.bias",
    }
    assert fates["encoder.layer.1.attention.attention.key.bias"]["as"] == ["encoder.trunk.blocks.1.attn.qkv.bias"]


def test_other_decoder_positions_are_refused_and_the_encoder_alone_is_not(tmp_path: Path):
    model = released(tmp_path / "hub")
    model.decoder.decoder_pos_embed.data.zero_()
    model.save_pretrained(tmp_path / "hub")
    file = read_file(tmp_path / "hub" / "model.safetensors")
    with pytest.raises(ValueError, match=r"decoder_pos_embed differ from the fixed tables"):
        import_weights(file, num_heads=4, decoder_heads=2)
    imported = import_weights(file, num_heads=4, encoder_only=True)
    assert imported.method() is None
    assert imported.fates.keys() == file.state.keys()
    out = {name for name, fate in imported.fates.items() if fate["fate"] == "left out"}
    assert out == {name for name in file.state if name.startswith("decoder.")}


def test_a_missing_key_and_an_unknown_entry_are_told(tmp_path: Path):
    state = to_transformers(vit(32, 8, 32, 2, 4).trunk.state_dict())
    key = state.pop("encoder.layer.1.attention.attention.key.bias")
    save_file(state, tmp_path / "w")
    with pytest.raises(ValueError, match=r"Of blocks\.1\.attn\.qkv\.bias the file lacks key"):
        import_weights(read_file(tmp_path / "w"), num_heads=4)
    save_file(
        state | {"encoder.layer.1.attention.attention.key.bias": key, "classifier.bias": key.clone()}, tmp_path / "w"
    )
    with pytest.raises(ValueError, match=r"Unexpected in the file: classifier\.bias"):
        import_weights(read_file(tmp_path / "w"), num_heads=4)


def test_an_encoder_with_registers_is_refused(tmp_path: Path):
    save_file(vit(32, 8, 32, 2, 4, num_registers=2).trunk.state_dict(), tmp_path / "encoder.safetensors")
    with pytest.raises(ValueError, match="plain one with a class token"):
        export_weights(tmp_path, "transformers-vit", tmp_path / "out", num_heads=4)
    assert not (tmp_path / "out").exists()


def test_the_config_says_what_weights_do_not(run: tuple[Path, Any], tmp_path: Path):
    export_weights(run[0], "transformers-vit", tmp_path / "out", num_heads=4)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert {name: config[name] for name in SIZES} == SIZES

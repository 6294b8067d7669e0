"""Fine-tuned classifiers of all released codes go in with their heads, and come out bit for bit."""

import pickle
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from mimbench.cli.weights import main
from mimbench.encoders import SwinEncoder, swin, vit
from mimbench.weights import load_classifier, load_encoder, read_state_dict, recognize
from mimbench.weights.formats.format import COMPUTED, entries

VIT: dict[str, Any] = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4}
SWIN: dict[str, Any] = {
    "img_size": 64,
    "patch_size": 4,
    "embed_dim": 8,
    "depths": (2, 2, 1, 1),
    "num_heads": (1, 2, 2, 4),
    "window_size": 4,
}


def scrambled(module: nn.Module) -> Any:
    """Biases and norms too, so that nothing is equal by chance."""
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=draws))
    return module.eval()


def vit_classifier(pool: Any) -> VisionTransformer:
    return scrambled(VisionTransformer(num_classes=7, global_pool=pool, **VIT))


def swin_classifier() -> SwinTransformer:
    norm: Any = partial(nn.LayerNorm, eps=1e-6)
    return scrambled(SwinTransformer(num_classes=7, norm_layer=norm, **SWIN))


def paddle_file(model: nn.Module, path: Path) -> Path:
    """As MIRL's code saves it: linear weights are [in, out], the square ones too."""
    state = {name: (t.T if t.ndim == 2 else t).contiguous().numpy() for name, t in model.state_dict().items()}
    pairs = {name: (f"linear_{i}.w_0", array) for i, (name, array) in enumerate(state.items())}
    path.write_bytes(pickle.dumps({"model": pairs, "epoch": 99, "scaler": {}}, protocol=2))
    return path


def torch_file(state: dict[str, Tensor], path: Path) -> Path:
    torch.save({"model": state, "epoch": 99}, path)
    return path


def authors_names(model: SwinTransformer) -> dict[str, Tensor]:
    """Swin's authors put a merging at the end of the stage before; window indices and masks are in the file."""
    state = {}
    for name, tensor in entries(model).items():
        parts = name.replace("head.fc.", "head.").split(".")
        if parts[2:3] == ["downsample"]:
            parts[1] = str(int(parts[1]) - 1)
        state[".".join(parts)] = tensor.clone()
    return state


def images(size: int) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


def check_round_trip(file: Path, name: str, tmp_path: Path, source: nn.Module, *words: str) -> None:
    assert main(["import", str(file), "--format", name, "--out", str(tmp_path / "in"), *words]) == 0
    size = source.patch_embed.img_size[0]
    with torch.no_grad():
        assert torch.equal(load_classifier(tmp_path / "in").eval()(images(size)), source(images(size)))
    out = tmp_path / "out.safetensors"
    assert main(["export", str(tmp_path / "in"), "--format", "released", "--out", str(out)]) == 0
    given, released = read_state_dict(file), read_state_dict(out)
    assert given.keys() == released.keys()
    assert all(torch.equal(tensor, released[entry]) for entry, tensor in given.items())
    assert main(["import", str(out), "--format", name, "--out", str(tmp_path / "again"), *words]) == 0
    for part in ("encoder.safetensors", "classifier.safetensors"):
        first, again = (read_state_dict(tmp_path / folder / part) for folder in ("in", "again"))
        assert first.keys() == again.keys()
        assert all(torch.equal(tensor, again[entry]) for entry, tensor in first.items())
    plain = tmp_path / "timm.safetensors"
    assert main(["export", str(tmp_path / "in"), "--format", "timm", "--out", str(plain)]) == 0
    source.load_state_dict(read_state_dict(plain), strict=True)


@pytest.mark.parametrize("pool", ["avg", "token"])
def test_mirls_classifiers_are_read_without_paddle(pool: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source = vit_classifier(pool)
    file = paddle_file(source, tmp_path / "checkpoint-99.pd")
    check_round_trip(file, "mirl", tmp_path, source, "--num-heads", "4")
    capsys.readouterr()
    assert main(["inspect", str(file)]) == 0
    told = capsys.readouterr().out
    assert "mirl-finetune (a classifier in Paddle's layout)" in told
    assert f"7 classes on the {'mean' if pool == 'avg' else 'class token'}" in told


@pytest.mark.parametrize("name", ["mae-finetune", "deepmim", "localmim-vit", "timm"])
@pytest.mark.parametrize("pool", ["avg", "token"])
def test_all_codes_that_fine_tune_maes_classifier_are_read(pool: str, name: str, tmp_path: Path):
    source = vit_classifier(pool)
    check_round_trip(torch_file(source.state_dict(), tmp_path / "w.pth"), name, tmp_path, source, "--num-heads", "4")


@pytest.mark.parametrize("computed", [True, False])
def test_localmims_swin_classifiers_are_read_under_their_authors_names(
    computed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    source = swin_classifier()
    state = authors_names(source)
    assert "layers.0.downsample.reduction.weight" in state
    assert any(name.endswith("attn_mask") for name in state)
    file = torch_file(state, tmp_path / "w.pth")
    if computed:
        check_round_trip(file, "localmim-swin", tmp_path, source)
    else:
        file = torch_file({n: t for n, t in state.items() if not n.endswith(COMPUTED)}, tmp_path / "w.pth")
        assert main(["import", str(file), "--out", str(tmp_path / "in"), "--image-size", "64"]) == 0
        with torch.no_grad():
            assert torch.equal(load_classifier(tmp_path / "in").eval()(images(64)), source(images(64)))
    capsys.readouterr()
    assert main(["inspect", str(file)]) == 0
    told = capsys.readouterr().out
    assert "localmim-swin-finetune" in told
    assert "7 classes on the mean" in told
    assert ("64 px, 16 x 16 patches" in told) is computed  # the masks of shifted windows tell the image's size


def test_a_swin_classifier_of_timm_is_read_with_its_head(tmp_path: Path):
    source = swin_classifier()
    file = torch_file(source.state_dict(), tmp_path / "w.pth")
    check_round_trip(file, "timm", tmp_path, source, "--image-size", "64")


def test_a_swins_window_index_that_differs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    state = authors_names(swin_classifier())
    state["layers.1.blocks.0.attn.relative_position_index"] += 1
    file = torch_file(state, tmp_path / "w.pth")
    assert main(["import", str(file), "--out", str(tmp_path / "in")]) == 2
    assert "relative_position_index differ from the fixed tables" in capsys.readouterr().err


def test_a_missing_and_an_unexpected_entry_of_a_classifier_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for state in (authors_names(swin_classifier()), vit_classifier("avg").state_dict()):
        state["head.scale"] = state.pop("head.weight")
        file = torch_file(state, tmp_path / "w.pth")
        words = ["--num-heads", "4"] if recognize(state).architecture.family == "vit" else []
        assert main(["import", str(file), "--out", str(tmp_path / "in"), *words]) == 2
        told = capsys.readouterr().err
        assert "head.weight" in told
        assert "Unexpected in the file: head.scale" in told


def test_a_swins_fine_tuned_encoder_is_evaluated_without_its_head(tmp_path: Path):
    source = swin_classifier()
    file = torch_file(authors_names(source), tmp_path / "w.pth")
    assert main(["import", str(file), "--out", str(tmp_path / "in")]) == 0
    encoder = swin(64, 8, (2, 2, 1, 1), (1, 2, 2, 4), 4).eval()
    load_encoder(tmp_path / "in", encoder)
    assert isinstance(encoder, SwinEncoder)
    with torch.no_grad():
        found = encoder(images(64), [4])[4].patches
        assert torch.equal(found, source.forward_features(images(64)).flatten(1, 2))


@pytest.mark.parametrize("pool", ["avg", "token"])
def test_a_fine_tuned_vit_is_evaluated_without_its_head(pool: str, tmp_path: Path):
    source = vit_classifier(pool)
    file = torch_file(source.state_dict(), tmp_path / "w.pth")
    assert main(["import", str(file), "--out", str(tmp_path / "in"), "--num-heads", "4"]) == 0
    encoder = vit(32, 8, 32, 2, 4).eval()
    if pool == "avg":
        with pytest.raises(ValueError, match="has no norm for single tokens"):
            load_encoder(tmp_path / "in", encoder)
    load_encoder(tmp_path / "in", encoder, adapt=pool == "avg")
    with torch.no_grad():
        assert torch.equal(encoder(images(32), [2])[2].sequence, source.forward_features(images(32)))
    assert ("fc_norm.weight" in encoder.trunk.state_dict()) == (pool == "avg")
    with pytest.raises(ValueError, match="belongs to another encoder"):
        load_encoder(tmp_path / "in", vit(32, 8, 32, 3, 4), adapt=True)


def test_where_there_is_no_classifier_none_is_loaded(tmp_path: Path):
    with pytest.raises(ValueError, match="contains no classifier; import a fine-tuned file"):
        load_classifier(tmp_path)
    with pytest.raises(ValueError, match=r"holds no encoder\.safetensors"):
        load_encoder(tmp_path, vit(32, 8, 32, 2, 4))

"""Exports of real runs: the README's own lines load them, and the models compute what the run's method does."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor
from transformers import ViTImageProcessor, ViTMAEForPreTraining
from transformers.utils import logging

from mimbench.cli import main
from mimbench.core import Mask
from mimbench.core.normalization import IMAGENET_MEAN, IMAGENET_STD
from mimbench.experiments.build import build_model
from mimbench.runs.directory import config
from mimbench.weights import export_weights

logging.disable_progress_bar()
SMALL = ["experiment=demo", "data=digits", "method.dim=32", "protocol=[knn]"]


def train(folder: Path, *words: str) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = (*SMALL, "budget=steps", "budget.steps=2", "~budget.epochs", f"sweep={folder.name}", *words)
        assert main(["run", *words]) == 0
    (record,) = folder.glob("runs/*/*/record.json")
    return record.parent


@pytest.fixture(scope="module")
def mae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = ["method=mae", "encoder.width=32", "encoder.depth=2", "target=raw_pixel", "masker.ratio=0.5"]
    return train(tmp_path_factory.mktemp("mae"), *words)


@pytest.fixture(scope="module")
def swin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = ["method=localmim", "encoder=swin_tiny", "encoder.width=24", "encoder.patch_size=1", "masker=shared"]
    return train(tmp_path_factory.mktemp("swin"), *words, "encoder.depths=[1,1,2,1]")


def load_as_the_readme_says(readme: Path, folder: Path) -> dict[str, Any]:
    """The names that the README's code leaves behind."""
    [code] = re.findall(r"```python\n(.*?)```", readme.read_text(), flags=re.DOTALL)
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(code, names)
    return names


def images(size: int) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


def test_a_mae_run_goes_out_with_its_decoder_and_predicts_the_same(mae: Path, tmp_path: Path):
    words = ["--format", "transformers-vitmae", "--decoder", "--out", str(tmp_path / "hf")]
    assert main(["weights", "export", str(mae), *words]) == 0
    model = load_as_the_readme_says(tmp_path / "hf" / "README.md", tmp_path)["model"].eval()
    assert isinstance(model, ViTMAEForPreTraining)
    assert (model.config.mask_ratio, model.config.norm_pix_loss) == (0.5, False)
    with torch.random.fork_rng():
        _, method = build_model(config(mae))
    assert method is not None
    state = torch.load(mae / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True)["state_dict"]
    method.load_state_dict(state)
    size, side = model.config.image_size, model.config.image_size // model.config.patch_size
    noise = torch.rand(2, side * side, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        theirs = model(images(size), noise=noise)
        hidden = theirs.mask.reshape(2, side, side).bool()
        (ours,) = method.predict(method.encoder(images(size), method.depths, Mask(hidden, side * side // 2, False)))
        loss = (ours - method.targets[0](images(size))).square().mean(-1)[hidden.flatten(1)].mean()
    torch.testing.assert_close(ours, theirs.logits, rtol=0, atol=1e-4)  # float32, other order of tokens
    torch.testing.assert_close(loss, theirs.loss, rtol=0, atol=1e-4)


def test_the_image_processor_prepares_images_as_the_run_did(mae: Path, tmp_path: Path):
    export_weights(mae, "transformers-vit", tmp_path / "hf", num_heads=4)
    processor = ViTImageProcessor.from_pretrained(tmp_path / "hf")
    size = config(mae)["data"]["image_size"]
    raw = torch.randint(0, 256, (3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    prepared = processor(raw, return_tensors="pt")["pixel_values"][0]
    torch.testing.assert_close(prepared, (raw / 255 - mean) / std, rtol=0, atol=1e-5)


def test_every_format_has_a_readme_whose_lines_load_it(mae: Path, swin: Path, tmp_path: Path):
    for directory in (mae, swin):
        out = tmp_path / directory.parent.name
        words = ["--format", "timm", "--out", str(out / "encoder.safetensors")]
        assert main(["weights", "export", str(directory), *words]) == 0
        model = load_as_the_readme_says(out / "encoder.md", out)["model"]
        stored = load_file(directory / "encoder.safetensors")
        assert model.state_dict().keys() == stored.keys()
        assert all(torch.equal(tensor, stored[name]) for name, tensor in model.state_dict().items())
        with torch.random.fork_rng():
            encoder, _ = build_model(config(directory))
        encoder.trunk.load_state_dict(stored)
        size = config(directory)["data"]["image_size"]
        with torch.no_grad():
            torch.testing.assert_close(
                model.eval().forward_features(images(size)), encoder.eval().trunk.forward_features(images(size))
            )
    for name in ("transformers-vit", "transformers-vitmae"):
        export_weights(mae, name, tmp_path / name, num_heads=4)
        assert load_as_the_readme_says(tmp_path / name / "README.md", tmp_path)["model"] is not None


def test_a_file_says_size_mean_and_std_in_its_header(mae: Path, tmp_path: Path):
    export_weights(mae, "timm", tmp_path / "encoder.safetensors", num_heads=4)
    with safe_open(tmp_path / "encoder.safetensors", "pt") as file:
        header = file.metadata()
    assert json.loads(header["mean"]) == list(IMAGENET_MEAN)
    assert json.loads(header["std"]) == list(IMAGENET_STD)
    assert json.loads(header["image_size"]) == config(mae)["data"]["image_size"]


def test_a_model_card_has_training_results_and_limits(mae: Path, tmp_path: Path):
    _, readme = export_weights(mae, "timm", tmp_path / "encoder.safetensors", num_heads=4)
    card, record = readme.read_text(), json.loads((mae / "record.json").read_text())
    assert card.startswith("---\nlibrary_name: timm\n")
    assert f"| identity | {record['identity']} |" in card
    assert "| masker.ratio | 0.5 |" in card
    assert f"| knn-v1 | accuracy {100 * record['metrics']['knn-v1']['accuracy']:.2f} % |" in card
    assert "## Limits" in card


def test_a_decoder_of_another_training_or_target_is_refused(mae: Path, swin: Path, tmp_path: Path):
    with pytest.raises(ValueError, match="plain one with a class token"):
        export_weights(swin, "transformers-vitmae", tmp_path / "out", decoder=True)
    copy = tmp_path / "copy"
    (copy / "checkpoints").mkdir(parents=True)
    for name in ("config.yaml", "encoder.safetensors", "checkpoints/last.ckpt"):
        (copy / name).write_bytes((mae / name).read_bytes())
    text = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(text.replace("mimbench.targets.PixelTarget", "mimbench.targets.HOGTarget"))
    with pytest.raises(ValueError, match="does not predict pixels"):
        export_weights(copy, "transformers-vitmae", tmp_path / "out", num_heads=4, decoder=True)
    (copy / "config.yaml").write_text(text)
    checkpoint = torch.load(copy / "checkpoints" / "last.ckpt", weights_only=True)
    checkpoint["state_dict"]["encoder.trunk.norm.bias"] += 1
    torch.save(checkpoint, copy / "checkpoints" / "last.ckpt")
    with pytest.raises(ValueError, match="of different trainings"):
        export_weights(copy, "transformers-vitmae", tmp_path / "out", num_heads=4, decoder=True)
    (copy / "checkpoints" / "last.ckpt").unlink()
    with pytest.raises(ValueError, match="only it holds the decoder"):
        export_weights(copy, "transformers-vitmae", tmp_path / "out", num_heads=4, decoder=True)
    assert not (tmp_path / "out").exists()

"""The method trains, the dataset is sound, and mimbench composes both."""

from pathlib import Path

import my_lab
import torch
from my_lab.data import Stripes
from my_lab.methods import HalfWay

from mimbench.cli import main
from mimbench.encoders import vit
from mimbench.maskers import RandomMasker
from mimbench.targets import PixelTarget

CONF = Path(my_lab.__file__).parent / "conf"


def test_every_parameter_of_the_method_gets_a_gradient() -> None:
    encoder = vit(image_size=32, patch_size=8, width=16, depth=4, num_heads=2)
    method = HalfWay(encoder, RandomMasker(0.75), PixelTarget, dim=16, num_blocks=1, num_heads=2)
    output = method(torch.rand(2, 3, 32, 32))
    output.loss.backward()
    assert set(output.terms) == {"depth2", "depth4"}
    assert all(p.grad is not None for p in method.parameters() if p.requires_grad)


def test_splits_are_disjoint_and_the_same_every_time() -> None:
    source = Stripes(num_train=64, num_val=32, num_test=32)
    splits = {name: source.split(name).images for name in ("train", "val", "test")}
    images = torch.cat(list(splits.values())).flatten(1)
    assert len(images.unique(dim=0)) == len(images) == 128
    assert torch.equal(source.split("train").images, splits["train"])


def test_mimbench_composes_the_parts(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "--config-dir", str(CONF), "experiment=first", "method=half_way"]) == 0

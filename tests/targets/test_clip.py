"""open_clip's image towers as teachers."""

import logging
import sys
from types import SimpleNamespace
from typing import Any

import open_clip
import pytest
import torch
from open_clip.transformer import VisionTransformer
from torch import Tensor

from mimbench.encoders import vit
from mimbench.maskers import RandomMasker
from mimbench.methods import DeepMIM
from mimbench.targets import OpenCLIPTeacher, TeacherTarget, clip

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces open_clip's towers by a small one."""

    def create_model(name: str, *_: Any, force_image_size: int, **__: Any) -> Any:
        torch.manual_seed(0)
        tower = VisionTransformer(
            force_image_size, 8, 24, 2, 2, 4.0, output_dim=10, pool_type="avg" if name == "ViT-H-14" else "tok"
        )
        torch.nn.init.normal_(tower.proj)
        tower.image_mean, tower.image_std = CLIP_MEAN, CLIP_STD
        return SimpleNamespace(visual=tower)

    monkeypatch.setattr(open_clip, "create_model", create_model)


def teacher(**more: Any) -> OpenCLIPTeacher:
    return OpenCLIPTeacher("ViT-B-16", 32, **({"pretrained": None} | more))


def images() -> Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.usefixtures("small")
def test_features_are_open_clips_tokens_after_norm_and_projection():
    tower = teacher().eval()
    found = tower(images())
    assert found.shape == (2, 4, 4, 10)
    pooled, tokens = tower.tower(images())
    torch.testing.assert_close(found.flatten(1, 2), tokens @ tower.tower.proj)
    # The same computation for the class token, which open_clip projects itself.
    x = tower.tower.ln_post(tower.tower.transformer(tower.tower._embeds(images()))) @ tower.tower.proj
    torch.testing.assert_close(x[:, 0], pooled)
    torch.testing.assert_close(x[:, 1:], found.flatten(1, 2))


@pytest.mark.usefixtures("small")
def test_without_projection_features_have_the_towers_width():
    plain = teacher(projection=False).eval()
    assert plain(images()).shape == (2, 4, 4, plain.dim)
    assert plain.dim == 24


@pytest.mark.usefixtures("small")
def test_images_are_normalized_with_clips_statistics():
    target = TeacherTarget(8, teacher())
    mean, std, clip_mean, clip_std = (
        torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD, CLIP_MEAN, CLIP_STD)
    )
    seen = (images() * std + mean - clip_mean) / clip_std
    torch.testing.assert_close(target(images()), target.teacher(seen).flatten(1, 2))


@pytest.mark.usefixtures("small")
def test_deepmim_trains_with_the_teacher():
    method = DeepMIM(vit(32, 8, 24, 4, 2), RandomMasker(), lambda cell: TeacherTarget(cell, teacher()), None, 16, 1, 2)
    output = method(images())
    output.loss.backward()
    assert 0 < output.loss < 4 * len(method.depths)
    assert method.targets[0].teacher.tower.proj.grad is None


def test_the_real_tower_accepts_another_image_size_without_weights(caplog: pytest.LogCaptureFixture):
    with torch.device("meta"):
        tower = OpenCLIPTeacher("ViT-B-16-quickgelu", 96, pretrained=False)
        assert tower(torch.zeros(1, 3, 96, 96)).shape == (1, 6, 6, 512)
    assert tower.mean == pytest.approx(CLIP_MEAN)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert logging.root.manager.disable == logging.NOTSET


@pytest.mark.parametrize(
    ("name", "pretrained", "message"),
    [
        ("ViT-B16", None, "no model 'ViT-B16'. Similar: ViT-B-16"),
        ("ViT-B-16", "openia", "no weights 'openia' of ViT-B-16; choose from openai"),
        ("RN50", None, "'RN50' is not a plain ViT"),
        ("coca_ViT-B-32", None, "is not a plain ViT"),
    ],
)
def test_unknown_names_and_other_towers_are_refused(name: str, pretrained: str | None, message: str):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        OpenCLIPTeacher(name, 224, pretrained)


@pytest.mark.usefixtures("small")
def test_a_tower_without_class_token_and_an_incompatible_patch_size_are_refused():
    with pytest.raises(ValueError, match="not a plain ViT with class token"):
        OpenCLIPTeacher("ViT-H-14", 32, None)
    with pytest.raises(ValueError, match="patches of 8 px do not divide an image of 36 px"):
        OpenCLIPTeacher("ViT-B-16", 36, None)


def test_the_error_without_open_clip_names_the_remedy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ValueError, match=r"pip install 'mimbench\[hub\] @ ADDRESS'"):
        clip.OpenCLIPTeacher("ViT-B-16", 32, None)

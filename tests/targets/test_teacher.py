"""Features of a frozen network as targets."""

import pytest
import torch
from torch import Tensor

from mimbench.targets import Teacher, TeacherTarget, TimmTeacher, target_values

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class MeanColor(Teacher):
    """The mean color of every cell, which is easy to compute by hand."""

    def __init__(self, cell: int, mean: tuple = IMAGENET_MEAN, std: tuple = IMAGENET_STD):
        super().__init__()
        self.cell, self.dim, self.mean, self.std = cell, 3, mean, std
        self.scale = torch.nn.Parameter(torch.ones(3))
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        return (torch.nn.functional.avg_pool2d(images, self.cell)).permute(0, 2, 3, 1) * self.scale


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_features_come_in_raster_order(images: Tensor):
    expected = images.unflatten(3, (4, 4)).unflatten(2, (4, 4)).mean(dim=(3, 5)).flatten(2).transpose(1, 2)
    torch.testing.assert_close(TeacherTarget(4, MeanColor(4))(images), expected)


def test_images_are_normalized_with_the_teachers_statistics(images: Tensor):
    plain = images * torch.tensor(IMAGENET_STD).view(3, 1, 1) + torch.tensor(IMAGENET_MEAN).view(3, 1, 1)
    seen = TeacherTarget(16, MeanColor(16, (0.5, 0.4, 0.3), (0.5, 0.25, 0.2)))(images)[:, 0]
    expected = (plain.mean(dim=(2, 3)) - torch.tensor([0.5, 0.4, 0.3])) / torch.tensor([0.5, 0.25, 0.2])
    torch.testing.assert_close(seen, expected)


def test_finer_teachers_are_averaged(images: Tensor):
    fine = TeacherTarget(8, MeanColor(4))(images)
    torch.testing.assert_close(fine, TeacherTarget(8, MeanColor(8))(images))


def test_coarser_teachers_are_interpolated(images: Tensor):
    coarse = TeacherTarget(4, MeanColor(8))(images)
    assert coarse.shape == (2, 16, 3)
    pooled = torch.nn.functional.avg_pool2d(images, 8)
    expected = torch.nn.functional.interpolate(pooled, (4, 4), mode="bilinear").flatten(2).transpose(1, 2)
    torch.testing.assert_close(coarse, expected)


def test_error_is_two_minus_twice_the_cosine(images: Tensor):
    target = TeacherTarget(4, MeanColor(4))
    value = target(images)
    torch.testing.assert_close(target.error(3 * value, value), torch.zeros(2, 16), rtol=0, atol=1e-6)
    torch.testing.assert_close(target.error(-value, value), torch.full((2, 16), 4.0))


def test_teacher_is_frozen_and_stays_in_evaluation_mode():
    target = TeacherTarget(4, MeanColor(4))
    assert not any(p.requires_grad for p in target.parameters())
    assert not target.train().teacher.training


def test_several_targets_run_a_teacher_once(images: Tensor):
    teacher = MeanColor(4)
    targets = [TeacherTarget(4, teacher), TeacherTarget(8, teacher)]
    target_values([*targets, targets[0]], images)
    assert teacher.calls == 1


@pytest.mark.parametrize("projection", [False, True])
def test_a_clip_tower_of_timm_gives_projected_or_plain_patch_features(projection: bool):
    name = "vit_xsmall_patch16_clip_224.tinyclip_yfcc15m"
    teacher = TimmTeacher(name, 32, pretrained=False, projection=projection).eval()
    features = teacher(torch.zeros(1, 3, 32, 32))
    assert features.shape == (1, 2, 2, 512 if projection else 256)
    assert teacher.dim == features.shape[-1]
    assert teacher.cell == 16
    assert teacher.mean == pytest.approx((0.48145466, 0.4578275, 0.40821073))


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("vit_tiny_patch16_224.augreg_in21k", "scores of 21,843 classes"),
        ("vit_base_patch16_clip_224.openai_ft_in1k", "scores of 1,000 classes"),
        ("vit_small_patch16_dinov3.lvd1689m", "no last layer"),
    ],
)
def test_a_tower_without_a_projection_is_refused_instead_of_predicting_class_scores(name: str, last: str):
    with pytest.raises(ValueError, match=rf"{last}.*projection=false"):
        TimmTeacher(name, 32, pretrained=False, projection=True)
    assert TimmTeacher(name, 32, pretrained=False).dim > 0

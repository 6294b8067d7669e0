"""Windows, augmentation and heads."""

import numpy as np
import pytest
import torch

from mimbench.core import generator
from mimbench.encoders import SwinEncoder, ViTEncoder, swin, vit
from mimbench.evaluation.dense.pyramid import Pyramid
from mimbench.evaluation.dense.resizing import AnySize
from mimbench.evaluation.segmentation.augmentation import Augmentation, distorted, fitted
from mimbench.evaluation.segmentation.heads import LinearHead, UPerNet, pixel_loss
from mimbench.evaluation.segmentation.module import warmup_linear
from mimbench.evaluation.segmentation.sliding import slide, starts


def a_vit() -> ViTEncoder:
    torch.manual_seed(0)
    return vit(image_size=32, patch_size=8, width=16, depth=4, num_heads=2)


def a_swin() -> SwinEncoder:
    torch.manual_seed(0)
    return swin(image_size=32, width=8, depths=[1, 2, 1, 1], num_heads=[1, 2, 4, 4], window=4, patch_size=2)


def test_windows_cover_a_side_and_stay_inside() -> None:
    assert starts(512, 512, 341) == [0]
    assert starts(300, 512, 341) == [0]
    assert starts(683, 512, 341) == [0, 171]
    assert starts(1200, 512, 341) == [0, 341, 682, 688]


def test_sliding_over_a_pointwise_network_changes_nothing() -> None:
    images = torch.randn(1, 3, 21, 34, generator=generator(0))
    seen = []

    def network(part: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(part.shape[-2:]))
        return torch.cat([part, part.sum(1, keepdim=True)], dim=1)

    torch.testing.assert_close(slide(network, images, 16, 10), network(images))
    assert set(seen[:-1]) == {(16, 16)}
    assert len(seen[:-1]) == 2 * 3


def test_overlapping_windows_are_averaged() -> None:
    numbers = iter((1.0, 3.0))
    logits = slide(lambda part: torch.full((1, 1, 4, 4), next(numbers)), torch.zeros(1, 3, 4, 6), 4, 3)
    assert logits[0, 0, 0].tolist() == [1, 1, 2, 2, 3, 3]


@pytest.fixture
def augmentation() -> Augmentation:
    return Augmentation(size=24, flip=True, photometric=True, seed=0)


def scene(height: int = 40, width: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    """An image whose red tells the class: 0, 1 or 2 by thirds of the width."""
    classes = (torch.arange(width) * 3 // width).expand(height, -1).to(torch.uint8)
    return (classes * 100)[None].expand(3, -1, -1).contiguous(), classes


def test_augmentation_depends_on_seed_epoch_and_sample_alone(augmentation: Augmentation) -> None:
    image, classes = augmentation(*scene(), 3, 1)
    again, others = Augmentation(24, True, True, 0)(*scene(), 3, 1), [
        augmentation(*scene(), 4, 1), augmentation(*scene(), 3, 2), Augmentation(24, True, True, 1)(*scene(), 3, 1),
    ]  # fmt: skip
    assert torch.equal(image, again[0])
    assert torch.equal(classes, again[1])
    assert all(not torch.equal(image, other[0]) for other in others)


def test_classes_stay_with_their_pixels_and_padding_is_ignored() -> None:
    plain = Augmentation(size=24, flip=True, photometric=False, seed=0)
    red = torch.tensor([(value / 255 - 0.485) / 0.229 for value in (0, 100, 200)])
    padded = False
    for index in range(20):
        image, classes = plain(*scene(), index, 0)
        assert image.shape == (3, 24, 24)
        assert classes.shape == (24, 24)
        counted = classes != 255
        padded |= bool((~counted).any())
        assert (image[:, ~counted] == 0).all()
        expected = red[classes[counted].long()]
        assert ((image[0][counted] - expected).abs() < 1e-4).float().mean() > 0.8  # borders are blurred
    assert padded


def test_crops_show_more_than_one_thing_where_they_can() -> None:
    plain = Augmentation(size=24, flip=False, photometric=False, seed=0)
    largest = []
    for index in range(30):
        _, classes = plain(*scene(48, 96), index, 0)
        counts = torch.bincount(classes[classes != 255].long())
        largest.append(float(counts.max() / counts.sum()))
    assert np.mean([share < 0.75 for share in largest]) > 0.7  # about a third without the rule


def test_images_fit_a_shorter_side_or_four_times_the_longer() -> None:
    assert fitted(100, 150, 50) == (50, 75)
    assert fitted(100, 800, 50) == (25, 200)


def test_distortion_keeps_the_image_recognizable() -> None:
    image = (torch.rand(3, 16, 16, generator=generator(0)) * 255).byte()
    none = np.full(9, 0.9)
    assert torch.equal(distorted(image, none), image)
    for i in range(4):
        one = none.copy()
        one[i], one[4 + i] = 0.0, 0.95
        changed = distorted(image, one)
        assert not torch.equal(changed, image)
        assert (changed.float() - image.float()).abs().mean() < 60


@pytest.mark.parametrize("make", [a_vit, a_swin])
def test_levels_halve_from_one_to_the_next(make: type) -> None:
    pyramid = Pyramid(AnySize(make()))
    sides = [tuple(level.shape[-2:]) for level in pyramid(torch.zeros(2, 3, 32, 64))]
    assert sides == [(16 // 2**i, 32 // 2**i) for i in range(4)]  # from patches of 2 px, or of 8 px times 4


@pytest.mark.parametrize("depths", [(1, 2, 3), (0, 1, 2, 3), (1, 3, 2, 4), (2, 3, 4, 5)])
def test_levels_from_depths_that_are_not_there_are_refused(depths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="four depths between 1 and 4 in increasing order"):
        Pyramid(AnySize(a_vit()), depths)


@pytest.mark.parametrize("make", [a_vit, a_swin])
def test_upernet_trains_all_that_it_reads(make: type) -> None:
    network = UPerNet(Pyramid(AnySize(make())), num_classes=5, channels=8, auxiliary_channels=4).train()
    logits, auxiliary = network(torch.randn(2, 3, 37, 64, generator=generator(0)))
    assert logits.shape == (2, 5, 37, 64)
    assert auxiliary is not None
    (logits.square().mean() + auxiliary.square().mean()).backward()
    missing = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []  # distributed training would stop
    network.eval()
    assert network(torch.zeros(1, 3, 32, 32))[1] is None


def test_a_linear_head_reads_frozen_features_of_several_depths() -> None:
    for encoder, width in ((a_vit(), 32), (a_swin(), 16 + 64)):
        head = LinearHead(AnySize(encoder), (2, 4), num_classes=3).train()
        logits, _ = head(torch.randn(2, 3, 32, 48, generator=generator(0)))
        assert logits.shape == (2, 3, 32, 48)
        assert head.classify.in_channels == width
        logits.sum().backward()
        assert all(p.grad is None for p in encoder.parameters())
        assert not any(module.training for module in encoder.modules())


def test_ignored_pixels_have_no_loss() -> None:
    logits = torch.randn(1, 3, 2, 2, generator=generator(0))
    classes = torch.tensor([[[0, 255], [255, 2]]], dtype=torch.uint8)
    expected = torch.nn.functional.cross_entropy(
        torch.stack([logits[0, :, 0, 0], logits[0, :, 1, 1]]), torch.tensor([0, 2])
    )
    torch.testing.assert_close(pixel_loss(logits, classes, 255), expected)
    assert pixel_loss(logits, torch.full_like(classes, 255), 255) == 0


def test_the_rate_rises_linearly_and_falls_linearly() -> None:
    assert [warmup_linear(step, 8, 2) for step in (0, 1, 2, 4, 8, 9)] == [0, 0.5, 0.75, 0.5, 0, 0]

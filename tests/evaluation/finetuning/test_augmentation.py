"""Images are augmented by timm, as a pure function of seed, epoch and sample."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from timm.data import create_transform
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from mimbench.core import mix
from mimbench.data.source import Samples
from mimbench.evaluation import FineTuneRecipe
from mimbench.evaluation.finetuning.augmentation import Augmentation, drawn_from

DRAWS = torch.Generator().manual_seed(0)
IMAGES = Samples(torch.randint(0, 256, (6, 3, 40, 48), dtype=torch.uint8, generator=DRAWS), torch.arange(6))
INDEX = np.arange(6)
PLAIN = FineTuneRecipe(name="plain", randaugment=None, random_erasing=0.0)


def augment(recipe: FineTuneRecipe, epoch: int = 0, seed: int = 0, flip: bool = True, scale: Any = None) -> Tensor:
    return Augmentation(recipe, 32, scale or (0.08, 1.0), flip, seed)(IMAGES, INDEX, epoch)


def test_it_is_timms_transform() -> None:
    ours = augment(FineTuneRecipe(), epoch=3, seed=5)
    theirs = create_transform(
        32,
        is_training=True,
        color_jitter=None,
        auto_augment="rand-m9-mstd0.5-inc1",
        interpolation="bicubic",
        re_prob=0.25,
        re_mode="pixel",
        re_count=1,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )
    state, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        for i in range(6):
            seed = mix(5, 3, i)
            random.seed(seed)
            np.random.seed(seed % 2**32)
            torch.manual_seed(seed)
            assert torch.equal(ours[i], theirs(to_pil_image(IMAGES.images[i])))
    random.setstate(state)
    np.random.set_state(numpy)


def test_a_image_depends_on_seed_epoch_and_place_alone() -> None:
    augmentation = Augmentation(FineTuneRecipe(), 32, (0.08, 1.0), True, 0)
    whole = augmentation(IMAGES, INDEX, 1)
    order = [4, 1, 3]
    some = augmentation(Samples(IMAGES.images[order], IMAGES.labels[order]), INDEX[order], 1)
    assert torch.equal(some, whole[order])
    assert torch.equal(augmentation(IMAGES, INDEX, 1), whole)
    assert not torch.equal(augmentation(IMAGES, INDEX, 2), whole)
    assert not torch.equal(augment(FineTuneRecipe(), epoch=1, seed=1), whole)


def test_images_of_different_sizes_are_taken() -> None:
    images = [IMAGES.images[0], IMAGES.images[1][:, :36, :44]]
    out = Augmentation(FineTuneRecipe(), 32, (0.08, 1.0), True, 0)(Samples(images, torch.arange(2)), INDEX[:2], 0)
    assert out.shape == (2, 3, 32, 32)


@pytest.mark.parametrize(
    "change", [{"randaugment": "rand-m9-mstd0.5-inc1"}, {"randaugment": "rand-m1-n1"}, {"random_erasing": 1.0}]
)
def test_options_change_the_images(change: dict[str, Any]) -> None:
    assert not torch.equal(augment(PLAIN), augment(FineTuneRecipe(**(vars(PLAIN) | change))))


def test_random_erasing_puts_noise_into_a_rectangle() -> None:
    plain, erased = augment(PLAIN), augment(FineTuneRecipe(**(vars(PLAIN) | {"random_erasing": 1.0})))
    changed = (plain != erased).any(1)
    for image in changed:
        rows, columns = image.nonzero().unbind(1)
        box = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
        assert image.sum() == box
        assert 0.01 < box / 32**2 < 0.5


def test_crops_and_mirroring_follow_the_options() -> None:
    assert not torch.equal(augment(PLAIN, flip=True), augment(PLAIN, flip=False))
    assert not torch.equal(augment(PLAIN, scale=(0.9, 1.0)), augment(PLAIN))


def test_global_generators_are_put_back() -> None:
    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    with drawn_from(1, 2):
        first = random.random(), np.random.rand(), torch.rand(1).item()
    with drawn_from(1, 2):
        assert (random.random(), np.random.rand(), torch.rand(1).item()) == first
    with pytest.raises(ZeroDivisionError), drawn_from(1, 4):
        print(random.random() / 0)
    with drawn_from(1, 3):
        assert random.random() != first[0]
    assert random.getstate() == before[0]
    assert (np.random.get_state()[1] == before[1]).all()
    assert torch.equal(torch.get_rng_state(), before[2])

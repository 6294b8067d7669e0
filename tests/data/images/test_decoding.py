"""Images cut out while they are decoded, against torchvision's crop of the whole image."""

import io
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from mimbench.core.counter_rng import uniforms
from mimbench.data import Folder, ImageDataModule
from mimbench.data.images.crops import NUM_DRAWS, Box, Drawn, box_of, draw_crops, shares_and_aspects
from mimbench.data.images.decoding import JPEG_SCALES, cut, snapped
from mimbench.data.images.pixels import colors
from mimbench.data.loader import Batch, RawBatch, TrainSet
from mimbench.data.sampler import Draw
from mimbench.data.source import Samples
from mimbench.data.transforms import TrainTransform


def jpeg(name: str, **options: object) -> io.BytesIO:
    stream = io.BytesIO()
    Image.fromarray(getattr(skimage.data, name)()).save(stream, "JPEG", quality=92, **options)
    return stream


def expected(image: Tensor, box: Box, size: int, mode: InterpolationMode = InterpolationMode.BICUBIC) -> Tensor:
    crop = F.resized_crop(image, *box[:4], [size, size], mode, antialias=True)
    return F.horizontal_flip(crop) if box.flip else crop


@pytest.mark.parametrize("ratio", [(3 / 4, 4 / 3), (1.0, 1.0)])
@pytest.mark.parametrize(("height", "width"), [(375, 500), (60, 90), (200, 40), (1, 1)])
def test_boxes_one_by_one_are_those_of_the_batch(height: int, width: int, ratio: tuple[float, float]) -> None:
    draws, scale = uniforms(NUM_DRAWS, np.arange(2000), 0), (0.2, 1.0)
    together = draw_crops(draws, np.full(2000, height), np.full(2000, width), scale, True, ratio)
    tried = shares_and_aspects(draws, scale, ratio)
    numbers = (*tried, draws[:, -3], draws[:, -2], draws[:, -1] < 0.5)
    apart = [box_of(Drawn(*each), height, width, ratio) for each in zip(*(x.tolist() for x in numbers), strict=True)]
    assert apart == [Box(*each) for each in zip(*(side.tolist() for side in together), strict=True)]


@pytest.mark.parametrize("box", [Box(0, 0, 300, 451), Box(17, 33, 200, 150, True), Box(299, 399, 1, 1)])
@pytest.mark.parametrize("name", ["chelsea", "camera"])
def test_a_cut_is_torchvisions_crop_of_the_whole_image(name: str, box: Box) -> None:
    whole = colors(Image.open(jpeg(name)))
    assert torch.equal(cut(Image.open(jpeg(name)), box, 224), expected(whole, box, 224))


def test_other_formats_are_never_decoded_coarsely() -> None:
    stream = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()).save(stream, "PNG")
    box = Box(3, 5, 480, 490, True)
    assert torch.equal(cut(Image.open(stream), box, 32), expected(colors(Image.open(stream)), box, 32))


@pytest.mark.parametrize("name", ["astronaut", "brick", "coffee", "rocket", "retina"])
@pytest.mark.parametrize("size", [32, 48, 100])
def test_coarse_decoding_is_closer_than_another_interpolation(name: str, size: int) -> None:
    stream, errors, others = jpeg(name), list[float](), list[float]()
    whole = colors(Image.open(stream))
    for share in (1.0, 0.8, 0.6):
        box = Box(7, 5, int(share * (whole.shape[1] - 7)), int(share * (whole.shape[2] - 5)))
        moved, scale = snapped(box, size)
        if scale > 1:
            truth = expected(whole, moved, size).float()
            errors.append(float((cut(Image.open(stream), box, size).float() - truth).abs().mean()))
            others.append(
                float((expected(whole, moved, size, InterpolationMode.BILINEAR).float() - truth).abs().mean())
            )
    assert errors
    assert all(error < other for error, other in zip(errors, others, strict=True))
    assert max(errors) < 1.5  # of 255 levels; 1.3 measured


def test_coarse_boxes_keep_enough_pixels_and_hardly_move() -> None:
    draws = uniforms(NUM_DRAWS, np.arange(4000), 1)
    crops = draw_crops(draws, np.full(4000, 1500), np.full(4000, 2000), (0.2, 1.0), True)
    scales = set()
    for box in (Box(*each) for each in zip(*(side.tolist() for side in crops), strict=True)):
        moved, scale = snapped(box, 224)
        scales.add(scale)
        assert moved.flip == box.flip
        assert moved == box or min(moved.height, moved.width) >= JPEG_SCALES[scale] * scale * 224
        assert all(side % scale == 0 for side in moved[:4]) or scale == 1
        assert max(abs(a - b) for a, b in zip(moved[:4], box[:4], strict=True)) <= scale
        assert moved.top + moved.height <= 1500 + scale / 2  # the last column of blocks may be cut off
    assert scales == {2, 4}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("folder")
    image = Image.fromarray(skimage.data.chelsea())
    for split, count in (("train", 6), ("val", 1)):
        for place, name in enumerate(("left", "right")):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                part = image.crop((50 * place + number, 0, 50 * place + 200 + number, 150))
                part.save(root / split / name / f"{number}.jpg", quality=92)
    return root


@pytest.mark.parametrize("color", [0.0, 0.4])
def test_reading_equals_decoding_first_and_augmenting_then(root: Path, color: float) -> None:
    split = Folder(root, holdout=0.2).split("train")
    transform = TrainTransform(96, (0.2, 1.0), flip=True, seed=1, color=color)
    index = np.array([4, 0, 7])
    decoded = Samples([split[i][0] for i in index.tolist()], split.labels[index])
    batch = TrainSet(split, transform)[Draw(3, index)]
    assert torch.equal(batch.images, transform(decoded, index, 3))
    assert torch.equal(batch.labels, decoded.labels)
    assert batch.images.is_contiguous()


@pytest.mark.parametrize("precision", ["32-true", "64-true"])
def test_the_device_normalizes_batches_that_workers_leave_at_8_bits(root: Path, precision: Any) -> None:
    data = ImageDataModule(Folder(root, holdout=0.2), image_size=32, batch_size=4)
    normalized = next(iter(data.train_dataloader()))
    assert isinstance(normalized, Batch)
    data.trainer = L.Trainer(accelerator="cpu", precision=precision, logger=False, enable_checkpointing=False)
    raw = data._augmented()[Draw(0, normalized.index.numpy())]
    assert isinstance(raw, RawBatch)
    assert raw.images.dtype == torch.uint8
    expected = normalized.images.double() if precision == "64-true" else normalized.images
    received = data.on_after_batch_transfer(raw, 0)
    assert isinstance(received, Batch)
    assert torch.equal(received.images, expected)
    assert data.on_after_batch_transfer(normalized, 0) is normalized


def test_kept_images_are_those_of_the_files(root: Path) -> None:
    plain, kept = (ImageDataModule(Folder(root, holdout=0.2), 96, 4, keep_decoded=keep) for keep in (False, True))
    assert torch.equal(kept.split("train")[5][0], plain.split("train")[5][0])
    for ours, theirs in zip(kept.train_dataloader(), plain.train_dataloader(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    for ours, theirs in zip(kept.plain("test"), plain.plain("test"), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))

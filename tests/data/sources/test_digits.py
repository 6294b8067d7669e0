"""scikit-learn's digits."""

import pytest
import torch
from sklearn.datasets import load_digits

from mimbench.data import Digits


def test_the_splits_share_no_digit_and_leave_none_out() -> None:
    source = Digits(image_size=8)
    images = [split.images[:, 0].flatten(1) for split in map(source.split, ("train", "val", "test"))]
    assert [len(p) for p in images] == [1155, 191, 451]
    original = (torch.from_numpy(load_digits().images).flatten(1) * 255 / 16).round().byte()
    assert sorted(torch.cat(images).tolist()) == sorted(original.tolist())


def test_every_class_is_in_every_split_in_proportion() -> None:
    for name in ("train", "val", "test"):
        counts = torch.bincount(Digits().split(name).labels, minlength=10).float()
        assert counts.min() > 0.9 * counts.mean()


def test_labels_stay_with_their_digits() -> None:
    source = Digits(image_size=8)
    original = {
        tuple(x): y
        for x, y in zip(
            (torch.from_numpy(load_digits().images).flatten(1) * 255 / 16).round().int().tolist(),
            load_digits().target.tolist(),
            strict=True,
        )
    }
    split = source.split("test")
    assert all(original[tuple(split[i][0][0].flatten().tolist())] == split[i][1] for i in range(len(split)))


def test_digits_are_enlarged_and_never_mirrored() -> None:
    assert Digits().split("val").images.shape == (191, 3, 32, 32)
    assert not Digits.flip


def test_a_size_below_8_is_refused() -> None:
    with pytest.raises(ValueError, match="only ever enlarged"):
        Digits(image_size=4)

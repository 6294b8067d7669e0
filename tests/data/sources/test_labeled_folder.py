"""Folders that name the classes of another dataset."""

from pathlib import Path

import PIL.Image
import pytest

from mimbench.data.sources.labeled_folder import labeled_folder, match_classes

WORDNET = ["n01440764", "n01443537", "n02085620", "n02012849", "n03126707"]  # tench, goldfish, chihuahua, two cranes


def make(root: Path, *names: str) -> Path:
    for place, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for i in range(place + 1):
            PIL.Image.new("RGB", (20, 20)).save(root / name / f"{i}.png")
    return root


def test_a_subset_of_the_classes_keeps_their_labels(tmp_path: Path):
    split = labeled_folder(make(tmp_path, "c", "a"), ["a", "b", "c"])
    assert split.labels.tolist() == [0, 0, 2]  # in the order of the folders: a has two images
    assert split[2][1] == 2


@pytest.mark.parametrize(
    ("names", "classes", "labels"),
    [
        (["n02085620", "n01440764"], WORDNET, [2, 0]),
        (["10", "2"], [f"n{i:08}" for i in range(12)], [10, 2]),
        (["3", "0"], list("0312"), [1, 0]),  # class names come before places
        (["Sea_Lion", "dog"], ["dog", "sea lion"], [1, 0]),
        (["tench", "goldfish, Carassius auratus", "Chihuahua"], WORDNET, [0, 1, 2]),
    ],
)
def test_folders_are_ids_places_or_words(names: list[str], classes: list[str], labels: list[int]):
    assert match_classes(names, classes) == dict(zip(names, labels, strict=True))


def test_words_that_mean_two_classes_match_none():
    assert match_classes(["crane", "tench"], WORDNET) == {"tench": 0}


@pytest.mark.parametrize(
    ("names", "classes", "message"),
    [
        (["a", "x", "y"], ["a", "b"], "x, y are no classes of the training data"),
        (["sea lion", "sea_lion"], ["sea lion"], "name the same classes"),
        (["0", "7"], ["n1", "n2"], "are no classes"),
    ],
)
def test_folders_that_name_no_class_or_one_twice_are_refused(
    tmp_path: Path, names: list[str], classes: list[str], message: str
):
    with pytest.raises(ValueError, match=message):
        labeled_folder(make(tmp_path, *names), classes)


def test_a_missing_folder_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="There is no folder"):
        labeled_folder(tmp_path / "none", ["a"])

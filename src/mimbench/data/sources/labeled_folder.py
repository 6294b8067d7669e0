"""Folders of images by class with the classes of another dataset."""

from collections.abc import Sequence
from pathlib import Path

import torch
from timm.data import ImageNetInfo

from mimbench.data.images.files import FileSplit
from mimbench.data.images.rules import Rules
from mimbench.data.images.unreadable import Damaged
from mimbench.data.sources.folder import class_folders, listed, scan


def labeled_folder(root: Path, classes: Sequence[str], max_damaged: int = 10, min_size: int = 16) -> FileSplit:
    """`root/CLASS/*` with the labels of `classes`; not all classes need to occur.

    A folder has the name of the class (case, spaces, dashes and underscores do not matter), its index in `classes`
    (ImageNet-V2 has 0 to 999), or, if the classes are WordNet ids, the first or all of ImageNet's words for it.

    Raises:
        ValueError: There are no such folders or images, or a folder has no class, or two have the same.
    """
    if not root.is_dir():
        raise ValueError(f"There is no folder {root}; name the one that has a folder of images per class.")
    names = class_folders(root)
    labels = match_classes(names, classes)
    if unknown := [name for name in names if name not in labels]:
        raise ValueError(
            f"{root}: {listed(unknown)} are no classes of the training data, such as {listed(list(classes), 3)}; "
            "name folders after these classes or after their places, 0 for the first."
        )
    if len(set(labels.values())) < len(names):
        twice = sorted(name for name in names if list(labels.values()).count(labels[name]) > 1)
        raise ValueError(f"{root}: {listed(twice)} name the same classes; merge these folders.")
    split = scan(root, tuple(names), Rules(Damaged(max_damaged), min_size))
    split.labels = torch.tensor([labels[name] for name in names])[split.labels]
    return split


def match_classes(names: Sequence[str], classes: Sequence[str]) -> dict[str, int]:
    """Labels by folder name, for folders with the name of a class."""
    known = {_plain(name): label for label, name in enumerate(classes)}
    if all(_plain(name) in known for name in names):
        return {name: known[_plain(name)] for name in names}
    if all(name.isdecimal() and int(name) < len(classes) for name in names):
        return {name: int(name) for name in names}
    known = _in_words(classes) | known
    return {name: known[_plain(name)] for name in names if _plain(name) in known}


def _in_words(classes: Sequence[str]) -> dict[str, int]:
    """Labels by ImageNet's words for its WordNet ids, without words of two classes."""
    information = ImageNetInfo("imagenet-1k")
    words: dict[str, set[int]] = {}
    ids = set(information.label_names())
    for label, name in enumerate(classes):
        if name in ids:
            description = information.label_name_to_description(name)
            for word in (description, description.split(",")[0]):
                words.setdefault(_plain(word), set()).add(label)
    return {word: min(labels) for word, labels in words.items() if len(labels) == 1}


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())

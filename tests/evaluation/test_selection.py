from dataclasses import replace

import pytest
import torch

from mimbench.evaluation import KNN, FewShot, Layerwise, Linear, LinearSources

PROTOCOLS = [
    KNN(),
    Linear(epochs=5, min_steps=1),
    Layerwise(linear=Linear(epochs=5, min_steps=1)),
    LinearSources(epochs=5, min_steps=1),
    FewShot(shots=(1, 3), num_draws=2, cs=(0.1, 1.0)),
]
CHOSEN = ("k", "lr", "source", "c", "val_accuracy", "val_accuracies", "depth", "depths")


def chosen(result):
    return {name: result[name] for name in CHOSEN if name in result}


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
def test_test_labels_and_images_cannot_change_what_is_chosen(protocol, make_features):
    splits = make_features()
    test = splits["test"]
    order = torch.randperm(80, generator=torch.Generator().manual_seed(0))
    shuffled = splits | {"test": replace(test, labels=test.labels[order])}
    noise = splits | {"test": replace(test, patches={depth: torch.randn(80, 12) for depth in test.patches})}
    first, second, third = (protocol(given.__getitem__) for given in (splits, shuffled, noise))
    assert chosen(first) == chosen(second) == chosen(third)
    assert first != second != third


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
def test_everything_is_chosen_without_the_test_split(protocol, make_features):
    """Whatever a protocol computes before it asks for test, it computes alike when there is none."""
    splits, asked = make_features(), []

    def without_test(split):
        asked.append(split)
        if split == "test":
            raise LookupError("The test split is sealed.")
        return splits[split]

    with pytest.raises(LookupError, match="sealed"):
        protocol(without_test)
    assert asked.count("test") == 1
    assert asked[-1] == "test"
    assert {"train", "val"} <= set(asked)


@pytest.mark.parametrize("protocol", PROTOCOLS[:2], ids=lambda p: p.name)
def test_val_is_what_decides(protocol, make_features):
    splits = make_features()
    reversed_labels = replace(splits["val"], labels=4 - splits["val"].labels)
    result = protocol((splits | {"val": reversed_labels}).__getitem__)
    assert result["val_accuracy"] != protocol(splits.__getitem__)["val_accuracy"]


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
def test_data_without_labels_are_refused(protocol, split, make_features):
    splits = make_features()
    splits[split].labels[:7] = -1
    with pytest.raises(ValueError, match=rf"7 of \d+ images in {split} have no label"):
        protocol(splits.__getitem__)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
def test_a_class_without_training_images_is_refused(protocol, make_features):
    splits = make_features()
    splits["train"].labels[splits["train"].labels == 2] = 1
    with pytest.raises(ValueError, match=r"Classes \[2\] have no training images"):
        protocol(splits.__getitem__)


def test_a_class_that_only_test_has_is_refused(make_features):
    splits = make_features()
    splits["test"].labels[0] = 6
    with pytest.raises(ValueError, match=r"Classes \[5, 6\] have no training images.*out of test"):
        KNN()(splits.__getitem__)

"""Metrics against torchmetrics and by hand."""

import pytest
import torch
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

from mimbench.core import generator
from mimbench.evaluation.segmentation.metrics import confusion, scores


def test_hand_made_case() -> None:
    true = torch.tensor([[0, 0, 1, 1], [1, 255, 255, 0]], dtype=torch.uint8)
    predicted = torch.tensor([[0, 1, 1, 1], [1, 0, 2, 0]])
    found = scores(confusion(predicted, true, 4))
    assert found["iou"] == [pytest.approx(2 / 3), pytest.approx(3 / 4), None, None]
    assert found["miou"] == pytest.approx((2 / 3 + 3 / 4) / 2)
    assert found["macc"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["aacc"] == pytest.approx(5 / 6)


@pytest.mark.parametrize("ignored", [0.0, 0.3])
def test_metrics_are_torchmetrics_over_all_pixels_of_all_images(ignored: float) -> None:
    draws = generator(0)
    jaccard = MulticlassJaccardIndex(num_classes=5, ignore_index=255)
    micro = MulticlassAccuracy(num_classes=5, ignore_index=255, average="micro")
    macro = MulticlassAccuracy(num_classes=5, ignore_index=255, average="macro")
    total = torch.zeros(5, 5, dtype=torch.int64)
    for height in (6, 9, 4):
        true = torch.randint(0, 5, (height, 7), generator=draws)
        predicted = torch.where(torch.rand(height, 7, generator=draws) < 0.6, true, (true + 1) % 5)
        true[torch.rand(height, 7, generator=draws) < ignored] = 255
        for metric in (jaccard, micro, macro):
            metric.update(predicted[None], true[None])
        total += confusion(predicted, true.to(torch.uint8), 5)
    found = scores(total)
    assert found["miou"] == pytest.approx(jaccard.compute().item(), abs=1e-6)
    assert found["aacc"] == pytest.approx(micro.compute().item(), abs=1e-6)
    assert found["macc"] == pytest.approx(macro.compute().item(), abs=1e-6)


def test_a_class_that_is_only_predicted_counts_as_missed_entirely() -> None:
    found = scores(confusion(torch.tensor([0, 1]), torch.tensor([0, 0], dtype=torch.uint8), 3))
    assert found["iou"] == [0.5, 0.0, None]
    assert found["miou"] == 0.25
    assert found["macc"] == 0.5

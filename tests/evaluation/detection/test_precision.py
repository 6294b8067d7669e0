"""Average precision on cases made by hand, and against torchmetrics and COCO's own way through files."""

import json
from pathlib import Path

import pytest
import torch
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

from mimbench.data.annotated import Objects
from mimbench.evaluation.detection import AveragePrecision

SIZE = (40, 60)
NAMES = ("cat", "dog")


def filled(boxes: list[list[float]]) -> Tensor:
    masks = torch.zeros(len(boxes), *SIZE, dtype=torch.bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[int(top) : int(bottom), int(left) : int(right)] = True
    return masks


def objects(boxes: list[list[float]], labels: list[int], crowd: list[bool] | None = None) -> Objects:
    flags = torch.tensor(crowd or [False] * len(boxes), dtype=torch.bool)
    return Objects(torch.tensor(boxes).view(-1, 4), torch.tensor(labels, dtype=torch.int64), filled(boxes), flags)


def found(boxes: list[list[float]], labels: list[int], scores: list[float]) -> dict[str, Tensor]:
    return {
        "boxes": torch.tensor(boxes).view(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "scores": torch.tensor(scores),
        "masks": filled(boxes),
    }


def measured(*inputs: tuple[Objects, dict[str, Tensor]]) -> dict[str, float]:
    scores = AveragePrecision(NAMES)
    for i, (truth, detections) in enumerate(inputs):
        scores.add(i, SIZE, truth, detections)
    return scores.compute()


ONE, TWO = [5.0, 5.0, 25.0, 25.0], [30.0, 10.0, 50.0, 30.0]


def test_detections_that_are_the_objects_are_perfect() -> None:
    result = measured((objects([ONE, TWO], [0, 1]), found([ONE, TWO], [0, 1], [0.9, 0.3])))
    for name in ("ap_box", "ap_box50", "ap_box75", "ap_mask", "ap_mask50", "ap_mask75"):
        assert result[name] == pytest.approx(1)
    assert result["ap_box_small"] == pytest.approx(1)
    assert "ap_box_large" not in result, "there are no large objects"


def test_one_of_two_objects_is_half_of_the_recall_levels() -> None:
    result = measured((objects([ONE, TWO], [0, 0]), found([ONE], [0], [0.9])))
    assert result["ap_box"] == pytest.approx(51 / 101)


def test_a_false_alarm_counts_where_its_score_is_higher() -> None:
    truth = objects([ONE], [0])
    assert measured((truth, found([ONE, TWO], [0, 0], [0.9, 0.5])))["ap_box"] == pytest.approx(1)
    assert measured((truth, found([ONE, TWO], [0, 0], [0.5, 0.9])))["ap_box"] == pytest.approx(0.5)


def test_the_threshold_is_the_overlap() -> None:
    shifted = [10.0, 5.0, 30.0, 25.0]  # 15 of 25 columns: 0.6
    result = measured((objects([ONE], [0]), found([shifted], [0], [0.9])))
    assert (result["ap_box50"], result["ap_box75"]) == (pytest.approx(1), pytest.approx(0))
    assert result["ap_box"] == pytest.approx(0.3)  # 0.5, 0.55 and 0.6 of ten


def test_masks_count_apart_from_boxes() -> None:
    detections = found([ONE], [0], [0.9])
    detections["masks"][:, 15:] = False
    result = measured((objects([ONE], [0]), detections))
    assert result["ap_box"] == pytest.approx(1)
    assert result["ap_mask"] == pytest.approx(0.1)  # an overlap of 0.5


def test_the_wrong_class_is_wrong() -> None:
    assert measured((objects([ONE], [0]), found([ONE], [1], [0.9])))["ap_box"] == 0


def test_detections_on_a_crowd_count_neither_way_and_a_missed_crowd_is_no_miss() -> None:
    crowd = objects([ONE, TWO], [0, 0], [False, True])
    part = [32.0, 12.0, 42.0, 28.0]
    assert measured((crowd, found([part, TWO, ONE], [0, 0, 0], [0.9, 0.8, 0.7])))["ap_box"] == pytest.approx(1)
    assert measured((crowd, found([ONE], [0], [0.7])))["ap_box"] == pytest.approx(1)
    alone = objects([ONE, TWO], [0, 0])
    assert measured((alone, found([part, TWO, ONE], [0, 0, 0], [0.9, 0.8, 0.7])))["ap_box"] < 0.9


def test_images_without_objects_count_by_their_false_alarms() -> None:
    empty = objects([], [])
    right = objects([ONE], [0]), found([ONE], [0], [0.5])
    assert measured(right, (empty, found([], [], [])))["ap_box"] == pytest.approx(1)
    assert measured(right, (empty, found([TWO], [0], [0.9])))["ap_box"] == pytest.approx(0.5)


def test_nothing_found_is_zero_and_nothing_to_find_is_refused() -> None:
    result = measured((objects([ONE], [0]), found([], [], [])))
    assert set(result.values()) == {0.0}
    assert {"ap_box", "ap_box50", "ap_box75", "ap_mask", "ap_mask50", "ap_mask75"} == result.keys()
    with pytest.raises(ValueError, match="no objects"):
        measured((objects([TWO], [0], [True]), found([ONE], [0], [0.5])))


def random_case(seed: int) -> list[tuple[Objects, dict[str, Tensor]]]:
    draws = torch.Generator().manual_seed(seed)

    def boxes(number: int) -> Tensor:
        corner = torch.randint(0, 20, (number, 2), generator=draws)
        return torch.cat([corner, corner + torch.randint(4, 20, (number, 2), generator=draws)], 1).float()

    inputs = []
    for _ in range(6):
        truth = boxes(4)
        guess = torch.cat([truth + torch.randint(-1, 2, (4, 4), generator=draws), boxes(3)]).clamp(min=0)
        guess[:, 2:] = torch.maximum(guess[:, 2:], guess[:, :2] + 1)
        labels = torch.randint(0, 2, (4,), generator=draws)
        labels_of_guess = torch.cat([labels, torch.randint(0, 2, (3,), generator=draws)])
        scores = torch.rand(7, generator=draws)
        truth_objects = objects(truth.tolist(), labels.tolist(), [False] * 4)
        inputs.append((truth_objects, found(guess.tolist(), labels_of_guess.tolist(), scores.tolist())))
    return inputs


def test_it_agrees_with_torchmetrics() -> None:
    inputs = random_case(0)
    theirs = MeanAveragePrecision(iou_type=("bbox", "segm"), backend="pycocotools")
    for truth, guess in inputs:
        target = {"boxes": truth.boxes, "labels": truth.labels, "masks": truth.masks, "iscrowd": truth.crowd.long()}
        theirs.update([guess], [target])
    expected, ours = theirs.compute(), measured(*inputs)
    assert 0.1 < ours["ap_box"] < 0.9
    for name, word in (("box", "bbox"), ("mask", "segm")):
        for number, key in (("", "map"), ("50", "map_50"), ("75", "map_75")):
            assert ours[f"ap_{name}{number}"] == pytest.approx(float(expected[f"{word}_{key}"]), abs=1e-6)


def test_it_agrees_with_pycocotools_on_files(tmp_path: Path) -> None:
    inputs = random_case(1)
    annotations, results = [], []
    for i, (truth, guess) in enumerate(inputs):
        for box, label in zip(truth.boxes.tolist(), truth.labels.tolist(), strict=True):
            x, y, w, h = box[0], box[1], box[2] - box[0], box[3] - box[1]
            polygon = [x, y, x + w, y, x + w, y + h, x, y + h]
            number = len(annotations) + 1
            entry = {"id": number, "image_id": i, "category_id": 10 + label, "bbox": [x, y, w, h], "area": w * h}
            annotations.append(entry | {"iscrowd": 0, "segmentation": [polygon]})
        for box, label, score in zip(*(guess[k].tolist() for k in ("boxes", "labels", "scores")), strict=True):
            lengths = rle.frPyObjects([[box[0], box[1], box[2], box[1], box[2], box[3], box[0], box[3]]], *SIZE)[0]
            entry = {"image_id": i, "category_id": 10 + label, "score": score}
            x, y, w, h = box[0], box[1], box[2] - box[0], box[3] - box[1]
            lengths["counts"] = lengths["counts"].decode()
            results.append(entry | {"bbox": [x, y, w, h], "segmentation": lengths})
    images = [{"id": i, "height": SIZE[0], "width": SIZE[1]} for i in range(len(inputs))]
    categories = [{"id": 10 + i, "name": name} for i, name in enumerate(NAMES)]
    (tmp_path / "truth.json").write_text(
        json.dumps({"info": {}, "images": images, "annotations": annotations, "categories": categories})
    )
    (tmp_path / "results.json").write_text(json.dumps(results))
    truth = COCO(str(tmp_path / "truth.json"))
    ours = measured(*inputs)
    for name, kind in (("box", "bbox"), ("mask", "segm")):
        evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / "results.json")), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        expected = evaluation.stats[:3].tolist()
        assert [ours[f"ap_{name}{number}"] for number in ("", "50", "75")] == pytest.approx(expected, abs=1e-6)

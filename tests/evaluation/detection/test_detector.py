"""Mask R-CNN's parts on an encoder: strides, padding, gradients, coordinates."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign, box_iou

from mimbench.encoders import Encoder, swin, vit
from mimbench.evaluation.base import Subject
from mimbench.evaluation.detection import DetectionRecipe, Detector
from mimbench.evaluation.detection.detector import rescale
from mimbench.evaluation.detection.fitting import detector
from mimbench.evaluation.detection.module import groups, total

RECIPE = DetectionRecipe(name="tiny", width=16, window=3, global_blocks=1, drop_path=0.0, proposals=16)


def make_vit() -> Encoder:
    return vit(64, 8, 32, 4, 2)


def make_swin() -> Encoder:
    return swin(64, 16, (1, 1, 1, 1), (1, 2, 2, 4), window=4, patch_size=4)


both = pytest.mark.parametrize("make", [make_vit, make_swin])


def build(make: Any, seed: int = 0, **changes: Any) -> Detector:
    torch.manual_seed(0)
    subject = Subject(make(), None, lambda _: pytest.fail("no features"), torch.device("cpu"), Path())
    return detector(subject, dataclasses.replace(RECIPE, **changes), 3, seed)


def images(number: int = 2, height: int = 64, width: int = 64) -> Tensor:
    return torch.randn(number, 3, height, width, generator=torch.Generator().manual_seed(0))


def target(boxes: list[list[float]], labels: list[int]) -> dict[str, Tensor]:
    masks = torch.zeros(len(boxes), 64, 64, dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[int(top) : int(bottom), int(left) : int(right)] = 1
    return {"boxes": torch.tensor(boxes).view(-1, 4), "labels": torch.tensor(labels).long(), "masks": masks}


FULL = torch.tensor([[64, 64], [64, 64]])


@both
def test_levels_have_the_strides_they_are_said_to_have(make: Any) -> None:
    backbone = build(make).backbone
    assert backbone.strides == ((2, 4, 8, 16, 32) if make is make_vit else (4, 8, 16, 32, 64))
    levels = backbone(images(2, 64, 128), torch.tensor([[64, 128], [40, 100]]))
    assert list(levels) == ["0", "1", "2", "3", "4"]
    for level, stride in zip(levels.values(), backbone.strides, strict=True):
        assert level.shape == (2, 16, 64 // stride, 128 // stride)


def test_a_vit_of_16_px_patches_has_the_published_strides_and_anchors() -> None:
    model = build(lambda: vit(64, 16, 32, 4, 2))
    assert model.backbone.strides == (4, 8, 16, 32, 64)
    assert model.rpn.anchor_generator.sizes == ((32,), (64,), (128,), (256,), (512,))


def test_boxes_are_read_from_the_levels_torchvision_chooses_for_unpadded_images() -> None:
    ours = build(lambda: vit(64, 16, 32, 4, 2)).heads.box_roi_pool
    theirs = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
    draws = torch.Generator().manual_seed(0)
    levels = {str(i): torch.randn(1, 16, 128 // 2**i, 128 // 2**i, generator=draws) for i in range(4)}
    corners = 200 * torch.rand(40, 2, generator=draws)
    boxes = [torch.cat([corners, corners + 300 * torch.rand(40, 2, generator=draws)], dim=1)]
    assert torch.equal(ours(levels, boxes, [(100, 90)]), theirs(levels, boxes, [(512, 512)]))


@both
@torch.no_grad()
def test_padding_does_not_matter(make: Any) -> None:
    model, sizes = build(make, score_threshold=0.0).eval(), torch.tensor([[64, 32], [32, 64]])
    clean, noisy = images(), images()
    for one, other, (height, width) in zip(clean, noisy, sizes.tolist(), strict=True):
        one[:, height:], one[:, :, width:] = 0, 0
        other[:, height:] += 5
        other[:, :, width:] += 5
    for one, other in zip(model.backbone(clean, sizes).values(), model.backbone(noisy, sizes).values(), strict=True):
        assert one.isfinite().all()
        assert torch.equal(one, other)
    for found, (height, width) in zip(model.detect(clean, sizes), sizes.tolist(), strict=True):
        assert len(found["boxes"])
        assert found["boxes"][:, 2].max() <= width
        assert found["boxes"][:, 3].max() <= height


def test_images_that_no_level_divides_are_padded_so_that_anchors_lie_on_their_cells() -> None:
    model, seen = build(make_vit).eval(), []
    model.rpn.anchor_generator.register_forward_hook(lambda _, inputs, anchors: seen.append((inputs, anchors)))
    model.detect(images(1, 60, 50), torch.tensor([[60, 50]]))
    [((listed, levels), [anchors])] = seen
    assert listed.tensors.shape[2:] == (64, 64)
    assert listed.image_sizes == [(60, 50)]
    cells = [level.shape[2] for level in levels]
    assert cells == [64 // stride for stride in model.backbone.strides]
    centers = (anchors[:, :2] + anchors[:, 2:]) / 2
    last = sum(3 * n * n for n in cells[:-1])
    assert centers[last:].amax(0).tolist() == [32, 32], "two cells of 32 px, from their corners"


def test_boxes_stay_precise_in_mixed_precision() -> None:
    model = build(make_vit).train()
    with torch.autocast("cpu", torch.bfloat16):
        losses = model.losses(images(), FULL, [target([[8.0, 8.0, 30.0, 30.0]], [1]), target([], [])])
        found = model.eval().detect(images(), FULL)
        levels, listed = model._levels(images(), FULL)
        proposals, _ = model.rpn(listed, levels)
    assert all(loss.isfinite() for loss in losses.values())
    assert levels["0"].dtype == torch.bfloat16
    for boxes in (*proposals, *(one["boxes"] for one in found)):
        assert boxes.dtype == torch.float32
    assert not torch.equal(proposals[0], proposals[0].bfloat16().float())


@both
def test_every_trained_parameter_gets_a_gradient_and_one_group_even_without_objects(make: Any) -> None:
    """What gets no gradient stops training on several devices."""
    model = build(make).train()
    total(model.losses(images(), FULL, [target([], []), target([], [])])).backward()
    lacking = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert lacking == []
    grouped = [id(p) for group in groups(model, RECIPE) for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)


@both
def test_a_frozen_encoder_stays_as_it_is_while_all_else_trains(make: Any) -> None:
    model = build(make, frozen=True).train()
    encoder = model.backbone.encoder
    before = [parameter.clone() for parameter in encoder.parameters()]
    assert not any(module.training for module in encoder.modules())
    assert model.backbone.pyramid.training
    outputs: list[Tensor] = []
    encoder.register_forward_hook(lambda _, inputs, maps: outputs.extend(maps.values()))
    optimizer = torch.optim.AdamW(groups(model, RECIPE), lr=1e-2)
    total(model.losses(images(), FULL, [target([[8.0, 8.0, 30.0, 30.0]], [1]), target([], [])])).backward()
    assert outputs
    assert not any(features.requires_grad for features in outputs)
    trained = [id(p) for p in model.parameters() if p.requires_grad]
    assert sorted(trained) == sorted(id(p) for group in optimizer.param_groups for p in group["params"])
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    pyramid = [parameter.clone() for parameter in model.backbone.pyramid.parameters()]
    optimizer.step()
    assert all(map(torch.equal, before, encoder.parameters()))
    assert not any(map(torch.equal, pyramid, model.backbone.pyramid.parameters()))
    assert not model.eval().training


@both
@torch.no_grad()
def test_freezing_changes_nothing_before_training(make: Any) -> None:
    one, other = build(make).eval(), build(make, frozen=True).eval()
    for found, same in zip(one.backbone(images(), FULL).values(), other.backbone(images(), FULL).values(), strict=True):
        assert torch.equal(found, same)


def test_the_encoder_learns_by_layer_and_the_rest_at_the_full_rate() -> None:
    model = build(make_vit)
    rates = {id(p): group["lr"] for group in groups(model, RECIPE) for p in group["params"]}
    decays = {id(p): group["weight_decay"] for group in groups(model, RECIPE) for p in group["params"]}
    named = dict(model.named_parameters())

    def of(name: str) -> float:
        return rates[id(named[name])] / RECIPE.lr

    trunk = "backbone.encoder.encoder.trunk"
    assert of("rpn.head.cls_logits.weight") == of(f"{trunk}.norm.weight") == 1
    assert of(f"{trunk}.blocks.3.attn.qkv.weight") == pytest.approx(0.7)
    assert of(f"{trunk}.patch_embed.proj.weight") == pytest.approx(0.7**5)
    assert of("heads.mask_predictor.mask_fcn_logits.weight") == 1
    assert decays[id(named["rpn.head.cls_logits.bias"])] == 0
    assert decays[id(named["rpn.head.cls_logits.weight"])] == RECIPE.weight_decay


def test_what_is_new_depends_on_the_seed_alone() -> None:
    one, same, other = build(make_vit), build(make_vit), build(make_vit, seed=1)
    assert torch.equal(one.rpn.head.conv[0][0].weight, same.rpn.head.conv[0][0].weight)
    assert not torch.equal(one.rpn.head.conv[0][0].weight, other.rpn.head.conv[0][0].weight)


def test_detections_return_to_the_size_of_the_image() -> None:
    mask = torch.ones(1, 1, 28, 28)
    found = {"boxes": torch.tensor([[8.0, 4.0, 24.0, 20.0]]), "masks": mask, "scores": torch.ones(1)}
    back = rescale(found, (32, 64), (80, 160))
    assert back["boxes"].tolist() == [[20, 10, 60, 50]]
    assert back["masks"].shape == (1, 80, 160)
    rows, columns = back["masks"][0].nonzero().unbind(1)
    edges = [float(edge) for axis in (rows, columns) for edge in (axis.min(), axis.max() + 1)]
    assert edges == pytest.approx([10, 50, 20, 60], abs=1)  # torchvision widens masks by half a cell
    none = {"boxes": torch.zeros(0, 4), "masks": torch.zeros(0, 1, 28, 28)}
    assert rescale(none, (32, 64), (80, 160))["masks"].shape == (0, 80, 160)


def test_patches_that_cannot_be_quartered_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 4 px"):
        build(lambda: vit(12, 6, 32, 1, 2))


@pytest.mark.slow
@both
def test_a_few_objects_are_learned_by_heart(make: Any) -> None:
    model, inputs = build(make, score_threshold=0.3).train(), images()
    boxes = [[8.0, 8.0, 30.0, 30.0]], [[20.0, 30.0, 60.0, 52.0]]
    for i, ([left, top, right, bottom],) in enumerate(boxes):
        inputs[i, :, int(top) : int(bottom), int(left) : int(right)] += 3
    targets = [target(boxes[0], [1]), target(boxes[1], [3])]
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(120):
        loss = total(model.losses(inputs, FULL, targets))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for found, box, label in zip(model.eval().detect(inputs, FULL), boxes, (1, 3), strict=True):
        best = found["scores"].argmax()
        assert found["labels"][best] == label
        assert box_iou(found["boxes"][best][None], torch.tensor(box)) > 0.6

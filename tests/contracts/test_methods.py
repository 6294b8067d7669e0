"""Properties of all methods on all encoders."""

import math

import pytest
import torch
from torch import Tensor

from mimbench.core import Mask
from mimbench.maskers import RandomMasker
from mimbench.methods import Method


@pytest.fixture
def mask(images: Tensor) -> Mask:
    return RandomMasker()(len(images), (4, 4), generator=torch.Generator().manual_seed(2))


def test_every_trainable_parameter_and_no_other_gets_a_gradient(method: Method, images: Tensor, mask: Mask):
    method(images, mask).loss.backward()
    moved = {name for name, p in method.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved == {name for name, p in method.named_parameters() if p.requires_grad}


def test_hidden_pixels_cannot_reach_predictions(method: Method, images: Tensor, mask: Mask):
    cell = images.shape[-1] // mask.hidden.shape[-1]
    hidden = mask.hidden.repeat_interleave(cell, 1).repeat_interleave(cell, 2)[:, None]
    other = torch.where(hidden, 7 - 2 * images, images)
    for before, after in zip(method(images, mask).predictions, method(other, mask).predictions, strict=True):
        assert torch.equal(before, after)


def test_images_of_a_batch_do_not_see_each_other(method: Method, images: Tensor, mask: Mask):
    method.double()
    batch = method(images.double(), mask).predictions
    alone = method(images[1:2].double(), Mask(mask.hidden[1:2], mask.num_visible)).predictions
    for one, many in zip(alone, batch, strict=True):
        torch.testing.assert_close(one, many[1:2], rtol=0, atol=1e-12)


def test_the_loss_ignores_predictions_of_visible_cells(paper_method: Method, images: Tensor, mask: Mask):
    predictions = paper_method(images, mask).predictions
    changed = [torch.where(_weights(mask, p) == 0, p + 3, p) for p in predictions]
    assert any(not torch.equal(p, q) for p, q in zip(predictions, changed, strict=True))
    assert paper_method.losses(images, changed, mask) == paper_method.losses(images, predictions, mask)


def test_the_loss_depends_on_every_hidden_cell(paper_method: Method, images: Tensor, mask: Mask):
    predictions = [p.detach().requires_grad_() for p in paper_method(images, mask).predictions]
    paper_method.combine(list(paper_method.losses(images, predictions, mask).values())).backward()
    for prediction in predictions:
        seen = prediction.grad.abs().sum(dim=-1, keepdim=True) > 0
        assert torch.equal(seen, _weights(mask, prediction) > 0)


def test_the_loss_of_a_batch_is_the_mean_over_images(paper_method: Method, images: Tensor, mask: Mask):
    paper_method.double()
    alone = [
        paper_method(images[i : i + 1].double(), Mask(mask.hidden[i : i + 1], mask.num_visible)).loss for i in range(3)
    ]
    torch.testing.assert_close(paper_method(images.double(), mask).loss, torch.stack(alone).mean(), rtol=1e-12, atol=0)


def test_targets_have_no_gradient(paper_method: Method, images: Tensor, mask: Mask):
    images.requires_grad_()
    predictions = [p.detach() for p in paper_method(images, mask).predictions]
    assert not any(term.requires_grad for term in paper_method.losses(images, predictions, mask).values())


def test_the_mask_of_an_image_does_not_depend_on_its_batch(paper_method: Method):
    index = torch.tensor([7, 0, 3, 40_000])
    batch = paper_method.draw_mask(index, epoch=5).hidden
    torch.rand(5)
    alone = [paper_method.draw_mask(index[i : i + 1], epoch=5, step=i).hidden for i in range(4)]
    assert torch.equal(torch.cat(alone), batch)


def test_masks_differ_between_images_epochs_and_seeds(paper_method: Method):
    index = torch.arange(3)
    drawn = [paper_method.draw_mask(index, epoch=epoch).hidden for epoch in (-1, 0, 1)]
    paper_method.seed = 1
    drawn.append(paper_method.draw_mask(index, epoch=0).hidden)
    assert len(torch.cat(drawn).flatten(1).unique(dim=0)) == 12


def _weights(mask: Mask, prediction: Tensor) -> Tensor:
    side = math.isqrt(prediction.shape[1])
    return mask.weights((side, side))[..., None]


def test_skipping_unused_predictions_changes_neither_loss_nor_gradients(method: Method, images: Tensor, mask: Mask):
    method.double()
    found = []
    for hidden_only in (False, True):
        method.zero_grad()
        output = method(images.double(), mask, hidden_only)
        output.loss.backward()
        found.append((output, [p.grad for p in method.parameters() if p.grad is not None]))
    (full, gradients), (partial, same_gradients) = found
    torch.testing.assert_close(partial.loss, full.loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(same_gradients, gradients, rtol=1e-9, atol=1e-13)
    shorter = [a.shape[1] < b.shape[1] for a, b in zip(partial.predictions, full.predictions, strict=True)]
    assert any(shorter)

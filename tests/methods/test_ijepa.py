"""I-JEPA: what its class adds to the golden cases."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from mimbench.analysis import reconstruct
from mimbench.analysis.reconstruction import common_mask
from mimbench.core import Regions
from mimbench.encoders import ViTEncoder, swin, vit
from mimbench.maskers import MultiBlockMasker, RandomMasker
from mimbench.methods import IJEPA, MAE, DeepMIM, LocalMIM
from mimbench.targets import LatentTarget, PixelTarget
from mimbench.training.cost import measure_cost

SMALL = {"dim": 16, "num_blocks": 2, "num_heads": 2}


@pytest.fixture
def images() -> Tensor:
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def encoder(class_token: bool = False) -> ViTEncoder:
    torch.manual_seed(0)
    return vit(32, 4, 24, 3, 2, class_token=class_token)


def build(class_token: bool = False, masker: MultiBlockMasker | None = None, **options: Any) -> IJEPA:
    return IJEPA(encoder(class_token), masker or MultiBlockMasker(), LatentTarget, **(SMALL | options))


@pytest.fixture(params=[False, True], ids=["no class token", "class token"])
def method(request: pytest.FixtureRequest) -> IJEPA:
    return build(request.param)


@pytest.fixture
def regions() -> Regions:
    return MultiBlockMasker().from_keys(torch.arange(3), (8, 8), step_key=0)


def test_every_trainable_parameter_and_no_other_gets_a_gradient(method: IJEPA, images: Tensor, regions: Regions):
    method(images, regions).loss.backward()
    moved = {name for name, p in method.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved == {name for name, p in method.named_parameters() if p.requires_grad}
    assert not any(name.startswith("target.") for name in moved)


def test_pixels_outside_of_the_context_cannot_reach_predictions(method: IJEPA, images: Tensor, regions: Regions):
    [mask] = regions.masks()
    hidden = mask.hides((32, 32)).reshape(3, 1, 32, 32)
    other = torch.where(hidden, 7 - 2 * images, images)
    assert torch.equal(method(images, regions).predictions[0], method(other, regions).predictions[0])
    assert not torch.equal(method(images, regions).loss, method(other, regions).loss)


def test_images_of_a_batch_do_not_see_each_other(method: IJEPA, images: Tensor, regions: Regions):
    method.double()
    batch = method(images.double(), regions).predictions[0].unflatten(0, (4, 3))
    one = Regions(regions.contexts[:, 1:2], regions.targets[:, 1:2], regions.grid)
    alone = method(images[1:2].double(), one).predictions[0]
    torch.testing.assert_close(alone, batch[:, 1], rtol=0, atol=1e-12)


def test_the_loss_is_the_mean_over_blocks_and_contexts(images: Tensor):
    masker = MultiBlockMasker(num_contexts=2)
    output = build(masker=masker)(images, masker.from_keys(torch.arange(3), (8, 8), step_key=0))
    assert list(output.terms) == [f"block{k}_context{e}" for k in range(4) for e in range(2)]
    torch.testing.assert_close(output.loss, sum(output.terms.values()) / 8)


def test_regions_follow_from_image_epoch_step_and_seed():
    method, index = build(), torch.tensor([7, 0, 3])
    drawn = method.draw_mask(index, epoch=5, step=2)
    torch.rand(5)
    again = method.draw_mask(index[1:2], epoch=5, step=2)
    assert torch.equal(again.targets, drawn.targets[:, 1:2])
    others = [method.draw_mask(index, epoch=6, step=2)]
    method.seed = 1
    others.append(method.draw_mask(index, epoch=5, step=2))
    assert not any(one.targets.shape == drawn.targets.shape and one.targets.equal(drawn.targets) for one in others)


def test_the_average_starts_as_a_copy_and_moves_with_its_momentum():
    method = build(momentum=(0.5, 1.0))
    online, average = list(method.encoder.parameters()), list(method.target.encoder.parameters())
    assert all(torch.equal(p, q) for p, q in zip(online, average, strict=True))
    assert not any(q.requires_grad for q in average)
    with torch.no_grad():
        before = average[-1].clone()
        online[-1].add_(1)
    method.target.update(method.encoder, method.momentum_at(0, 10))
    torch.testing.assert_close(average[-1], before + 0.5)
    assert [method.momentum_at(step, 10) for step in (0, 5, 10)] == pytest.approx([0.5, 0.75, 1.0])


def test_the_exported_encoder_is_a_choice():
    method, online = build(), build(export="online")
    assert method.exported is method.target.encoder
    assert online.exported is online.encoder


def test_after_weights_were_loaded_the_average_starts_from_them():
    method = build()
    with torch.no_grad():
        method.encoder.trunk.norm.bias.add_(1)
    method.start_from_encoder()
    assert torch.equal(method.target.encoder.trunk.norm.bias, method.encoder.trunk.norm.bias)
    assert not any(p.requires_grad for p in method.target.parameters())


def test_there_are_no_images(method: IJEPA, images: Tensor, regions: Regions):
    assert method.to_images(images, method(images, regions).predictions) == {}
    assert reconstruct(method, images, common_mask(method, images)) == {}


def test_costs_count_the_average_and_every_region():
    with torch.device("meta"):
        one, two = (measure_cost(build(masker=MultiBlockMasker(num_contexts=n)), 32) for n in (1, 2))
    assert one.target_parameters == one.encoder_parameters
    assert one.target_flops > 2 * one.encoder_flops  # all 64 patches, not 19
    assert two.encoder_flops == 2 * one.encoder_flops
    assert (one.encoder_tokens, two.encoder_tokens) == (19, 38)
    assert two.decoder_flops > 1.9 * one.decoder_flops
    assert two.target_flops == one.target_flops


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            partial(IJEPA, encoder(), RandomMasker(), LatentTarget),
            "IJEPA and RandomMasker do not work together; use masker=multiblock",
        ),
        (
            partial(MAE, encoder(), MultiBlockMasker(), PixelTarget),
            "MAE and MultiBlockMasker do not work together; use another masker, such as masker=random",
        ),
        (partial(IJEPA, encoder(), MultiBlockMasker(), PixelTarget), "set target=latent"),
        (partial(MAE, encoder(), RandomMasker(), LatentTarget), "which only method=ijepa does"),
        (partial(LocalMIM, vit(32, 8, 24, 4, 2), RandomMasker(), LatentTarget), "which only method=ijepa does"),
        (partial(DeepMIM, encoder(), RandomMasker(), LatentTarget), "which only method=ijepa does"),
        (partial(build, export="teacher"), "must be one of momentum, online; got 'teacher'"),
        (partial(build, momentum=[0.9]), r"method\.momentum is \[0\.9\]; it must be two numbers"),
        (partial(build, masker=MultiBlockMasker(released_quirks=True)), r"masker\.min_keep"),
        (lambda: IJEPA(swin(64, 8, (1, 1), (2, 2), window=4), MultiBlockMasker(), LatentTarget), "use a ViT"),
    ],
)
def test_what_cannot_be_is_refused_with_the_remedy(make: partial[IJEPA], message: str):
    with pytest.raises(ValueError, match=message):
        make()

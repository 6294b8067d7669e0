"""Raw pixels mixed with a teacher's reconstruction."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from mimbench.core import Mask
from mimbench.encoders import vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE, DeepMIM
from mimbench.targets import HOGTarget, HybridTarget, PixelTarget, target_values

SMALL = {"dim": 16, "num_blocks": 1, "num_heads": 2}


class Oracle(nn.Module):
    """A teacher that reconstructs perfectly."""

    def __init__(self):
        super().__init__()
        self.targets = nn.ModuleList([PixelTarget(8)])

    def forward(self, images: Tensor, mask: Mask) -> SimpleNamespace:
        return SimpleNamespace(predictions=[PixelTarget(8)(images)])


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def mask() -> Mask:
    return RandomMasker()(2, (4, 4), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def teacher() -> MAE:
    torch.manual_seed(0)
    return mae(PixelTarget)


def mae(target) -> MAE:
    return MAE(vit(32, 8, 16, 1, 2), RandomMasker(), target, **SMALL)


def student(teacher: nn.Module, **changes) -> DeepMIM:
    torch.manual_seed(1)
    return DeepMIM(vit(32, 8, 16, 6, 2), RandomMasker(), lambda cell: HybridTarget(cell, teacher, **changes), **SMALL)


def test_a_perfect_teacher_makes_all_targets_raw(images: Tensor, mask: Mask):
    for target in HybridTarget(8, Oracle()).per_decoder(4):
        torch.testing.assert_close(target(images, mask), PixelTarget(8)(images), rtol=0, atol=1e-6)


def test_targets_go_from_reconstructed_to_raw_in_equal_steps(teacher: MAE, images: Tensor, mask: Mask):
    raw, reconstructed = PixelTarget(8)(images), teacher(images, mask).predictions[-1].detach()
    values = [target(images, mask) for target in HybridTarget(8, teacher).per_decoder(4)]
    assert torch.equal(values[0], reconstructed)
    assert torch.equal(values[3], raw)
    for alpha, value in zip((0, 1 / 3, 2 / 3, 1), values, strict=True):
        torch.testing.assert_close(value, alpha * raw + (1 - alpha) * reconstructed, rtol=0, atol=1e-6)


def test_alphas_can_be_given(teacher: MAE):
    targets = student(teacher, alphas=[0.5, 0.25, 0.75, 0.9]).targets
    assert [target.alpha for target in targets] == [0.5, 0.25, 0.75, 0.9]


@pytest.mark.parametrize(("count", "alphas"), [(2, [0.0, 1.0]), (3, [0.0, 0.5, 1.0])])
def test_the_deepest_decoder_predicts_raw_pixels(teacher: MAE, count: int, alphas: list[float]):
    assert [target.alpha for target in HybridTarget(8, teacher).per_decoder(count)] == alphas


def test_with_one_decoder_the_share_must_be_given(teacher: MAE):
    with pytest.raises(ValueError, match=r"method=deepmim, or give the share of raw pixels: target.alphas=\[0.5\]"):
        HybridTarget(8, teacher).per_decoder(1)
    assert [target.alpha for target in HybridTarget(8, teacher, [0.5]).per_decoder(1)] == [0.5]


def test_hidden_pixels_cannot_reach_the_shallowest_target(teacher: MAE, images: Tensor, mask: Mask):
    hidden = mask.hidden.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, None]
    shallow, *_, deep = HybridTarget(8, teacher).per_decoder(4)
    other = torch.where(hidden, images.flip(0) + 1, images)
    assert torch.equal(shallow(images, mask), shallow(other, mask))
    assert not torch.equal(deep(images, mask), deep(other, mask))


def test_the_teacher_receives_the_mask_and_runs_once_for_all_decoders(teacher: MAE, images: Tensor, mask: Mask):
    seen: list[Mask] = []
    teacher.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
    output = student(teacher)(images, mask)
    assert list(output.terms) == ["depth3", "depth4", "depth5", "depth6"]
    assert len(seen) == 1
    assert seen[0] is mask


def test_losses_compare_every_decoder_with_its_own_target(teacher: MAE, images: Tensor, mask: Mask):
    output, hidden = student(teacher)(images, mask), mask.hidden.flatten(1)
    targets = HybridTarget(8, teacher).per_decoder(4)
    for target, prediction, term in zip(targets, output.predictions, output.terms.values(), strict=True):
        error = (prediction - target(images, mask)).square().mean(dim=2)
        torch.testing.assert_close(term, error[hidden].mean())


def test_gradient_does_not_reach_the_teacher(teacher: MAE, images: Tensor, mask: Mask):
    method = student(teacher).train()
    method(images, mask).loss.backward()
    assert not teacher.training
    frozen = {id(p) for p in teacher.parameters()}
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())
    assert all(p.grad is not None for p in method.parameters() if id(p) not in frozen and p.requires_grad)


def test_targets_are_in_full_precision_under_autocast(teacher: MAE, images: Tensor, mask: Mask):
    targets = HybridTarget(8, teacher).per_decoder(4)
    full = target_values(targets, images, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = target_values(targets, images, mask)
    for target in targets:
        assert mixed[target].dtype == torch.float32
        assert torch.equal(mixed[target], full[target])


def test_predictions_can_be_shown_as_images(teacher: MAE, images: Tensor, mask: Mask):
    method = student(teacher)
    shown = method.to_images(images, method(images, mask).predictions)
    assert list(shown) == ["depth3", "depth4", "depth5", "depth6"]


def test_a_missing_mask_is_refused(images: Tensor):
    with pytest.raises(ValueError, match="call it with images and mask"):
        HybridTarget(8, Oracle())(images)


@pytest.mark.parametrize("target", [HOGTarget, lambda cell: PixelTarget(cell, normalize=False)])
def test_teachers_of_other_targets_are_refused(target):
    with pytest.raises(ValueError, match="predicts standardized pixels"):
        HybridTarget(8, mae(target))


def test_teachers_that_are_not_methods_are_refused():
    with pytest.raises(ValueError, match="predicts standardized pixels"):
        HybridTarget(8, nn.Linear(2, 2))


def test_teachers_with_other_patches_are_refused(teacher: MAE):
    with pytest.raises(ValueError, match="patches of 8 px, the student has patches of 4 px"):
        HybridTarget(4, teacher)


@pytest.mark.parametrize(
    ("alphas", "message"),
    [([0.0, 1.0], "each of 4 decoders, got"), ([0.0, 0.5, 1.0, 1.5], "between 0 and 1"), ([], "between 0 and 1")],
)
def test_invalid_alphas_are_refused(teacher: MAE, alphas: list[float], message: str):
    with pytest.raises(ValueError, match=message):
        student(teacher, alphas=alphas)

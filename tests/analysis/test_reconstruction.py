"""Images of predictions: what is laid where, and what the parts of MIRL and LocalMIM are."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from mimbench.analysis import reconstruct
from mimbench.analysis.draw_hog import draw_histograms
from mimbench.analysis.reconstruction import common_mask
from mimbench.core import denormalize
from mimbench.encoders import ViTEncoder
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE, MIRL, DeepMIM, LocalMIM
from mimbench.targets import HOGTarget, PixelTarget, Teacher, TeacherTarget
from mimbench.targets.pixel import patchify

SIDE = 96  # 16 px six times as large


def blow_up(images: Tensor) -> Tensor:
    return images.repeat_interleave(6, 2).repeat_interleave(6, 3)


def test_visible_patches_show_the_image_and_hidden_ones_the_prediction(encoder: ViTEncoder, images: Tensor):
    method = MAE(encoder, RandomMasker(), partial(PixelTarget, normalize=False), 16, 1, 2).eval()
    mask = common_mask(method, images)
    panels = reconstruct(method, images, mask)
    assert list(panels) == ["image", "visible", "depth4"]
    assert {tuple(image.shape) for image in panels.values()} == {(3, 3, SIDE, SIDE)}
    with torch.no_grad():
        (prediction,) = method.predict(method.encoder(images, method.depths, mask))
    hidden = mask.hidden.flatten(1)[..., None].numpy()
    expected = np.where(hidden, prediction.numpy(), patchify(images, 4).numpy())
    mean, std = np.tile([0.485, 0.456, 0.406], 16), np.tile([0.229, 0.224, 0.225], 16)
    found = patchify(panels["depth4"][:, :, ::6, ::6], 4).numpy()
    np.testing.assert_allclose(found, np.clip(expected * std + mean, 0, 1), atol=1e-5)
    torch.testing.assert_close(panels["image"], blow_up(denormalize(images).clamp(0, 1)))


def test_mirls_sum_is_main_plus_residual_for_every_pair(encoder: ViTEncoder, images: Tensor):
    method = MIRL(encoder, RandomMasker(), PixelTarget, None, 16, 1, 2).eval()
    mask = common_mask(method, images)
    quiet = 0.01 * images  # far from 0 and 1, where images are cut off
    with torch.no_grad():
        for decoder in method.decoders:
            decoder.head.bias.mul_(0)
    panels = reconstruct(method, quiet, mask)
    assert list(panels)[2:] == [
        "main, depth 1", "residual, depth 4", "sum, depths 1 + 4",
        "main, depth 2", "residual, depth 3", "sum, depths 2 + 3",
    ]  # fmt: skip
    hidden = mask.weights((SIDE, SIDE)).reshape(3, 1, SIDE, SIDE).expand(-1, 3, -1, -1) > 0
    gray = denormalize(torch.zeros(1, 3, SIDE, SIDE)).expand(3, -1, -1, -1)
    main, residual, both = (panels[name] for name in list(panels)[2:5])
    torch.testing.assert_close((main + residual - gray)[hidden], both[hidden], rtol=0, atol=1e-5)
    assert (residual - gray)[hidden].abs().max() > 1e-4
    torch.testing.assert_close(both[~hidden], blow_up(denormalize(quiet))[~hidden])


def test_localmim_shows_target_and_prediction_of_every_scale(encoder: ViTEncoder, images: Tensor):
    method = LocalMIM(encoder, RandomMasker(0.5), HOGTarget, None, None, 16, 1, 2).eval()
    panels = reconstruct(method, images, common_mask(method, images))
    names = [
        f"{name}, depth {d}, cells of {c} px"
        for d, c in zip((1, 2, 3, 4), (2, 2, 4, 8), strict=True)
        for name in ("target", "predicted")
    ]
    assert list(panels) == ["image", "visible", *names]
    assert all(0 <= float(p.min()) <= float(p.max()) <= 1 for p in panels.values())
    pixels = LocalMIM(encoder, RandomMasker(0.5), PixelTarget, None, None, 16, 1, 2).eval()
    assert list(reconstruct(pixels, images, common_mask(pixels, images)))[2:] == [f"depth{d}" for d in (1, 2, 3, 4)]


class Net(Teacher):
    cell, dim = 4, 5

    def forward(self, images: Tensor) -> Tensor:
        return images.new_zeros(len(images), 4, 4, 5)


def test_a_teachers_features_have_no_image(encoder: ViTEncoder, images: Tensor):
    method = DeepMIM(encoder, RandomMasker(), partial(TeacherTarget, teacher=Net()), None, 16, 1, 2)
    assert reconstruct(method, images, common_mask(method, images)) == {}


def test_the_mask_is_the_same_for_runs_of_other_seeds_and_methods(encoder: ViTEncoder, images: Tensor):
    mae, mirl = (
        MAE(encoder, RandomMasker(), PixelTarget, 16, 1, 2),
        MIRL(encoder, RandomMasker(), PixelTarget, None, 16, 1, 2),
    )
    mae.seed = 7
    assert torch.equal(common_mask(mae, images).hidden, common_mask(mirl, images).hidden)
    assert not torch.equal(common_mask(mae, images, 1).hidden, common_mask(mae, images, 2).hidden)


@pytest.mark.parametrize(("axis", "edge"), [(3, "vertical"), (2, "horizontal")])
def test_a_glyph_runs_along_the_edge(axis: int, edge: str):
    ramp = torch.linspace(-1, 1, 16).view(1, 1, -1, 1).transpose(2, axis).expand(1, 3, 16, 16)
    target = HOGTarget(16)
    image = draw_histograms(target(ramp), (1, 1), target.bins, 96)[0, 0]
    rows, columns = image[:, 44:52].sum(), image[44:52].sum()  # along the vertical and the horizontal middle
    assert (rows > columns) == (edge == "vertical")
    assert float(image.max()) <= 1

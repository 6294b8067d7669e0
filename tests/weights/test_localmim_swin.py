"""Released LocalMIM Swin weights, in and out."""

from functools import partial

import pytest
import torch

from mimbench.encoders import swin
from mimbench.maskers import RandomMasker
from mimbench.methods import LocalMIM
from mimbench.targets import HOGTarget
from mimbench.weights.formats.localmim_swin import LOCALMIM_SWIN_FORMAT, LOCALMIM_SWIN_QUIRKS_FORMAT, swap_neighbors


def model(seed: int = 0) -> LocalMIM:
    torch.manual_seed(seed)
    encoder = swin(64, 8, (1, 2, 1, 1), (1, 2, 2, 4), 4)
    return LocalMIM(
        encoder, RandomMasker(0.5, shared=True), partial(HOGTarget, bins=18, bias=True), dim=16, num_heads=4
    )


@pytest.mark.parametrize("form", [LOCALMIM_SWIN_FORMAT, LOCALMIM_SWIN_QUIRKS_FORMAT])
def test_import_then_export_is_bit_equal(form):
    released = form.export(model())
    other = model(seed=1)
    form.load(released, other)
    again = form.export(other)
    assert released.keys() == again.keys()
    assert all(torch.equal(released[name], again[name]) for name in released)
    assert torch.equal(other.encoder.trunk.norm.weight, released["encoder.norm.3.weight"])
    assert torch.equal(other.targets[2].offset, released["hog_enc.2.conv.bias"])


def test_a_merging_is_swapped_unless_the_encoder_has_the_quirks():
    source = model()
    plain, swapped = LOCALMIM_SWIN_QUIRKS_FORMAT.export(source), LOCALMIM_SWIN_FORMAT.export(source)
    differ = {name for name in plain if not torch.equal(plain[name], swapped[name])}
    assert differ == {f"encoder.layers.{i}.downsample.reduction.weight" for i in range(3)}  # fresh norms are constant
    name = "encoder.layers.1.downsample.reduction.weight"
    assert torch.equal(plain[name], source.encoder.trunk.layers[2].downsample.reduction.weight)
    assert torch.equal(swapped[name], swap_neighbors(plain[name]))


def test_swapping_exchanges_the_two_middle_blocks():
    assert swap_neighbors(torch.arange(8)).tolist() == [0, 1, 4, 5, 2, 3, 6, 7]


def test_a_window_index_of_another_size_is_refused():
    released = LOCALMIM_SWIN_FORMAT.export(model())
    name = "encoder.layers.0.blocks.0.attn.relative_position_index"
    released[name] = released[name].flip(0)
    with pytest.raises(ValueError, match="relative_position_index"):
        LOCALMIM_SWIN_FORMAT.load(released, model())
    del released["encoder.norm.0.weight"]
    with pytest.raises(ValueError, match=r"encoder\.norm\.0\.weight"):
        LOCALMIM_SWIN_FORMAT.load(released, model())

import pytest
import torch
from torch import nn

from mimbench.encoders import swin
from mimbench.evaluation import drop, reinitialize

IMAGES = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def stages():
    torch.manual_seed(0)
    return swin(image_size=32, width=8, depths=(1, 1, 1), num_heads=(1, 2, 2), window=2, patch_size=4).eval()


def test_a_vit_without_its_last_blocks_ends_where_it_was_cut(encoder):
    cut = drop(encoder.eval(), 2)
    assert cut.depth == 1
    with torch.no_grad():
        inner = encoder(IMAGES, [1])[1].sequence
        assert torch.equal(cut.eval()(IMAGES, [1])[1].sequence, encoder.trunk.norm(inner))
    assert encoder.depth == 3


def test_a_swin_without_its_last_stage_ends_with_a_norm_of_its_width(stages):
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    cut = drop(stages, 1).eval()
    assert (cut.depth, cut.taps[-1].width) == (2, 16)
    with torch.no_grad():
        tokens = cut(images, [0, 2])
        assert torch.equal(tokens[0].patches, stages(images, [0])[0].patches)
        seen: list[torch.Tensor] = []
        stages.trunk.layers[1].blocks[-1].register_forward_hook(lambda *a: seen.append(a[2]))
        stages(images, [3])
    expected = nn.functional.layer_norm(seen[0].flatten(1, 2), (16,), eps=1e-6)
    torch.testing.assert_close(tokens[2].patches, expected)


@pytest.mark.parametrize("kind", ["encoder", "stages"])
def test_only_the_last_units_are_drawn_anew(kind, request):
    whole = request.getfixturevalue(kind)
    fresh = reinitialize(whole, 1)
    units = "blocks" if kind == "encoder" else "layers"
    last = len(getattr(whole.trunk, units)) - 1
    state = whole.state_dict()
    changed = {name for name, value in fresh.state_dict().items() if not value.equal(state[name])}
    assert changed
    assert all(name.startswith(f"trunk.{units}.{last}.") for name in changed)
    matrices = {n for n, p in whole.named_parameters() if n.startswith(f"trunk.{units}.{last}.") and p.ndim > 1}
    assert matrices <= changed
    assert all(reinitialize(whole, 1).state_dict()[name].equal(fresh.state_dict()[name]) for name in changed)
    assert not all(reinitialize(whole, 1, seed=1).state_dict()[n].equal(fresh.state_dict()[n]) for n in changed)


@pytest.mark.parametrize("cut", [drop, reinitialize])
@pytest.mark.parametrize("k", [0, 3])
def test_something_must_be_left_and_something_cut(cut, k, encoder):
    with pytest.raises(ValueError, match=f"has 3 blocks; expected a number from 1 to 2, got {k}"):
        cut(encoder, k)

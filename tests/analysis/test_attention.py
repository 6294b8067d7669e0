"""Attention maps against timm's own, and what is measured on them against NumPy."""

import math

import numpy as np
import pytest
import torch
from timm.models.vision_transformer import ResPostBlock, VisionTransformer
from torch import Tensor

from mimbench.analysis import (
    attention_distance,
    attention_entropy,
    attention_maps,
    attention_statistics,
    head_diversity,
)
from mimbench.analysis.attention import among_patches, block_attention
from mimbench.analysis.distance import distances, uniform_distance
from mimbench.encoders import ViTEncoder, swin, vit


def random_attention(b: int = 2, h: int = 3, n: int = 6) -> Tensor:
    return torch.randn(b, h, n, n, generator=torch.Generator().manual_seed(0)).mul(2).log_softmax(-1)


def identity(h: int = 2, n: int = 6) -> Tensor:
    return torch.eye(n).log().expand(1, h, n, n)


def images() -> Tensor:
    return torch.randn(5, 3, 16, 24, generator=torch.Generator().manual_seed(1))


def trunk(**changes: object) -> VisionTransformer:
    sizes: dict[str, object] = {"img_size": (16, 24), "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 2}
    torch.manual_seed(0)
    return VisionTransformer(**(sizes | {"num_classes": 0} | changes)).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes", [{}, {"qk_norm": True, "reg_tokens": 2}, {"class_token": False, "global_pool": "avg"}]
)
def test_maps_give_the_output_of_timms_attention(changes: dict[str, object]):
    model = trunk(**changes)
    encoder = ViTEncoder(model)
    seen: dict[int, tuple[Tensor, Tensor]] = {}
    for depth, block in enumerate(model.blocks, start=1):
        block.attn.fused_attn = False
        block.attn.register_forward_hook(lambda _, x, y, depth=depth: seen.update({depth: (x[0], y)}))
    with torch.no_grad():
        model.forward_features(images())
        maps = dict(attention_maps(encoder, images()))
    assert list(maps) == list(seen) == [1, 2, 3]
    for depth, (x, y) in seen.items():
        attn = model.blocks[depth - 1].attn
        v = attn.qkv(x).unflatten(2, (3, 2, -1))[:, :, 2].transpose(1, 2)
        rebuilt = attn.proj((maps[depth].exp() @ v).transpose(1, 2).flatten(2))
        torch.testing.assert_close(rebuilt, y, rtol=1e-4, atol=1e-5)


def test_maps_leave_the_model_as_it_was():
    encoder = vit(16, 8, 24, 2, 2)
    state = {name: value.clone() for name, value in encoder.state_dict().items()}
    flags = [block.attn.fused_attn for block in encoder.trunk.blocks]
    attention_statistics(encoder, [torch.randn(2, 3, 16, 16)])
    assert [block.attn.fused_attn for block in encoder.trunk.blocks] == flags
    assert all(torch.equal(value, state[name]) for name, value in encoder.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in encoder.modules())


def test_patches_attend_to_patches_in_the_ratio_they_did_before():
    attention = random_attention(n=7).exp().numpy()
    cut = attention[:, :, 2:, 2:]
    expected = cut / cut.sum(-1, keepdims=True)
    np.testing.assert_allclose(among_patches(random_attention(n=7), 2).exp().numpy(), expected, rtol=1e-5)


def test_distance_entropy_and_diversity_are_those_of_numpy():
    log_attention, grid, cell = random_attention(), (2, 3), 8
    attention = log_attention.double().numpy()
    attention = np.exp(attention)
    b, h, n, _ = attention.shape
    distance, entropy, diversity = np.zeros(h), np.zeros(h), np.zeros(h)
    for i in range(b):
        for head in range(h):
            for q in range(n):
                p = attention[i, head, q]
                for k in range(n):
                    offset = (q // 3 - k // 3) ** 2 + (q % 3 - k % 3) ** 2
                    distance[head] += p[k] * cell * math.sqrt(offset) / (b * n)
                    entropy[head] -= p[k] * math.log(p[k]) / (b * n)
                    for other in set(range(h)) - {head}:
                        diversity[head] += p[k] * math.log(p[k] / attention[i, other, q, k]) / (b * n * (h - 1))
    np.testing.assert_allclose(attention_distance(log_attention, grid, cell).numpy(), distance, rtol=1e-5)
    np.testing.assert_allclose(attention_entropy(log_attention).numpy(), entropy, rtol=1e-5)
    np.testing.assert_allclose(head_diversity(log_attention).numpy(), diversity, rtol=1e-5)


def test_attention_to_oneself_has_no_distance_no_entropy_and_no_diversity():
    assert attention_distance(identity(), (2, 3), 8).tolist() == [0, 0]
    assert attention_entropy(identity()).tolist() == [0, 0]
    assert head_diversity(identity()).tolist() == [0, 0]


def test_uniform_attention_has_the_entropy_log_n_and_the_mean_distance():
    uniform = torch.full((2, 2, 6, 6), -math.log(6))
    assert attention_entropy(uniform).tolist() == pytest.approx([math.log(6)] * 2)
    assert attention_distance(uniform, (2, 3), 8).tolist() == pytest.approx([uniform_distance((2, 3), 8)] * 2)


def test_attention_to_the_neighbor_is_one_patch_away():
    swap = torch.eye(4)[[1, 0, 3, 2]].log().expand(1, 1, 4, 4)  # left and right in a 2 x 2 grid
    assert attention_distance(swap, (2, 2), 16).tolist() == [16]
    assert float(distances((2, 2), 16).max()) == pytest.approx(16 * math.sqrt(2))


def test_heads_that_exclude_each_other_are_infinitely_different_and_a_lone_head_has_no_number():
    apart = torch.stack([torch.eye(4), torch.eye(4)[[1, 0, 3, 2]]]).log()[None]
    assert torch.isinf(head_diversity(apart)).all()
    assert torch.isnan(head_diversity(identity(h=1))).all()


def test_statistics_are_means_over_all_images_however_they_are_batched():
    encoder = ViTEncoder(trunk())
    whole = attention_statistics(encoder, [images()])
    parts = attention_statistics(encoder, images().split(2))
    assert list(whole) == [1, 2, 3]
    for depth in whole:
        torch.testing.assert_close(whole[depth].distance, parts[depth].distance, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(whole[depth].diversity, parts[depth].diversity, rtol=1e-4, atol=1e-9)
    block = encoder.trunk.blocks[0]
    with torch.no_grad():
        patches = among_patches(block_attention(block, encoder(images(), [0])[0].sequence), 1)
    torch.testing.assert_close(whole[1].entropy, attention_entropy(patches).double(), rtol=1e-5, atol=0)


def test_swins_other_blocks_and_no_images_are_refused():
    with pytest.raises(ValueError, match="analyzed for ViTs"):
        attention_statistics(swin(32, 16, (1, 1), (2, 2), window=4), [torch.randn(1, 3, 32, 32)])
    with pytest.raises(ValueError, match="ResPostBlock"):
        attention_statistics(ViTEncoder(trunk(block_fn=ResPostBlock)), [images()])
    with pytest.raises(ValueError, match="at least one batch"):
        attention_statistics(ViTEncoder(trunk()), [])

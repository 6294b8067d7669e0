"""Compiling block by block."""

import pytest
import torch
from torch import Tensor

from mimbench.encoders import vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE
from mimbench.targets import PixelTarget
from mimbench.training.compilation import compile_blocks

TWO = torch.arange(2)


def mae(depth: int) -> MAE:
    torch.manual_seed(0)
    return MAE(vit(32, 8, 16, depth, 2), RandomMasker(), PixelTarget, dim=16, num_blocks=2, num_heads=2)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch):
    """No code compiled for other tests, and a backend that takes graphs as they are."""
    torch.compiler.reset()
    seen: list[torch.fx.GraphModule] = []
    compile_ = torch.compile

    def count(graph: torch.fx.GraphModule, inputs: list[Tensor]):
        seen.append(graph)
        return graph

    monkeypatch.setattr(torch, "compile", lambda module, **options: compile_(module, backend=count, **options))
    yield seen
    torch.compiler.reset()


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # Dynamo looks at the sequence between two blocks
def test_a_deep_trunk_is_compiled_once_and_computes_the_same(graphs: list[torch.fx.GraphModule]) -> None:
    def step(method: MAE) -> tuple[Tensor, list[Tensor]]:
        method.zero_grad()
        loss = method(images, mask, hidden_only=True).loss
        loss.backward()
        return loss.detach(), [p.grad.clone() for p in method.parameters() if p.grad is not None]

    images, mask = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)), mae(1).draw_mask(TWO, 0)
    needed = []
    for depth in (2, 7):
        torch.compiler.reset()
        graphs.clear()
        method = mae(depth)
        (loss, gradients), names = step(method), list(method.state_dict())
        assert compile_blocks(method) == depth + 2  # and the decoder's
        compiled_loss, compiled_gradients = step(method)
        torch.testing.assert_close(compiled_loss, loss)
        for gradient, expected in zip(compiled_gradients, gradients, strict=True):
            torch.testing.assert_close(gradient, expected)
        assert list(method.state_dict()) == names
        needed.append(len(graphs))
    assert needed[0] == needed[1] > 0

"""A trunk that is compiled block by block; for processes that pytest has not filled with checks of shapes."""

import torch
from torch import Tensor

from mimbench.encoders import vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE
from mimbench.targets import PixelTarget
from mimbench.training.compilation import compile_blocks


def mae(depth: int) -> MAE:
    torch.manual_seed(0)
    return MAE(vit(32, 8, 16, depth, 2), RandomMasker(), PixelTarget, dim=16, num_blocks=2, num_heads=2)


def step(method: MAE) -> tuple[Tensor, list[Tensor]]:
    """Loss and gradients, always on the same images and mask."""
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    method.zero_grad()
    loss = method(images, method.draw_mask(torch.arange(2), 0), hidden_only=True).loss
    loss.backward()
    return loss.detach(), [p.grad.clone() for p in method.parameters() if p.grad is not None]


def compare() -> None:
    """A deep trunk needs as many graphs as a flat one, computes the same and keeps the names of its weights."""
    graphs: list[torch.fx.GraphModule] = []
    compile_ = torch.compile

    def keep(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    torch.compile = lambda module, **options: compile_(module, backend=keep, **options)
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

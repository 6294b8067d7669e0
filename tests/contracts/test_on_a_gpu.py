"""A training step on a simulated GPU: PyTorch's fake tensors have a device but no values."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from mimbench.encoders import vit
from mimbench.maskers import MultiBlockMasker
from mimbench.methods import IJEPA, Method
from mimbench.targets import LatentTarget

pytestmark = pytest.mark.xfail(
    torch.__version__ < "2.10" and not torch.cuda.is_available(),
    raises=RuntimeError,
    reason="PyTorch 2.9 needs a real GPU even for fake tensors",
)


class Waits(TorchDispatchMode):
    """Collects copies between host and GPU, for which the host waits; reading a value of a fake tensor raises."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        devices = {x.device.type for x in (*args, out) if isinstance(x, Tensor) and x.ndim}
        if len(devices) > 1:
            self.found.append(str(func))
        return out


def on_a_fake_gpu(method: Method) -> None:
    for module in method.modules():
        for name, x in module._parameters.items():
            if x is not None:
                module._parameters[name] = nn.Parameter(
                    torch.empty(x.shape, dtype=x.dtype, device="cuda"), x.requires_grad
                )
        for name, x in module._buffers.items():
            if x is not None:
                module._buffers[name] = torch.empty(x.shape, dtype=x.dtype, device="cuda")


def step(method: Method) -> Tensor:
    images, index = torch.randn(3, 3, 32, 32, device="cuda"), torch.arange(3, device="cuda")
    return method(images, method.draw_mask(index, epoch=1, step=1), hidden_only=True).loss


def test_regions_and_the_average_stay_on_the_gpu() -> None:
    method = IJEPA(vit(32, 4, 24, 2, 2, class_token=False), MultiBlockMasker(), LatentTarget, 16, 1, 2)
    with FakeTensorMode(), Waits() as waits:
        on_a_fake_gpu(method)
        loss = step(method)
        method.target.update(method.encoder, 0.9)
    assert loss.device.type == "cuda"
    assert waits.found == []


def test_mask_forward_pass_and_loss_stay_on_the_gpu(paper_method: Method) -> None:
    with FakeTensorMode(), Waits() as waits:
        on_a_fake_gpu(paper_method)
        loss = step(paper_method)
    assert loss.device.type == "cuda"
    assert waits.found == []


def test_a_copy_between_devices_is_found(paper_method: Method) -> None:
    """For example a table that was left on the CPU."""
    forward = type(paper_method).forward

    def forgetful(images: Tensor, *rest: Any, **options: Any) -> Any:
        return forward(paper_method, images + torch.zeros(3, 32, 32).to(images.device), *rest, **options)

    with FakeTensorMode(), Waits() as waits:
        on_a_fake_gpu(paper_method)
        paper_method.forward = forgetful
        step(paper_method)
    assert waits.found == ["aten._to_copy.default"]

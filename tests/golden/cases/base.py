"""A released model rebuilt from our parts, with the values recorded in its golden file."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import formulas
import numpy as np
import torch
from torch import Tensor, nn

from mimbench.core import Grid, Mask, Regions, Tokens
from mimbench.encoders import ViTEncoder, vit
from mimbench.maskers import Masker, RandomMasker
from mimbench.methods import Method, Output
from mimbench.weights import Format


class StoredNoise(Masker):
    """Random masking with recorded noise."""

    def __init__(self, ratio: float, noise: Tensor):
        super().__init__(ratio)
        self.noise = noise

    def order(self, keys: Tensor, grid: Grid) -> Tensor:
        return self.noise.argsort(dim=1).argsort(dim=1).to(keys.device)


@dataclass(frozen=True)
class Run:
    """One forward and backward pass of our method with the released weights; the results are on the CPU."""

    method: Method
    images: Tensor
    features: dict[int, Tokens]
    output: Output


# Arguments of the encoder that `Case.vit` builds.
VIT = frozenset({"img_size", "patch_size", "in_chans", "embed_dim", "depth", "num_heads", "mlp_ratio"})
NORM = ("partial(nn.LayerNorm, eps=1e-6)", "partial(nn.LayerNorm, epsilon=1e-6)")


class Case(ABC):
    """Rebuilds a released class from the constructor arguments or the entries that a golden file lists.

    Attributes:
        source: Repository and file of the released code.
        format: Translation of its weights.
        linear_in_out: Whether linear weights are listed as [in, out].
        float32_gradients: Tolerance of gradients in float32, as the files' description says.
        reads: Constructor arguments that `build` reads; None: all.
        assumes: Arguments that `build` does not read, with all values for which the released model equals the one that
            it builds; None: any value, since the released model ignores the argument.
    """

    source: ClassVar[tuple[str, str]]
    format: ClassVar[Format]
    linear_in_out: ClassVar[bool] = False
    float32_gradients: ClassVar[float] = 1e-5
    reads: ClassVar[frozenset[str] | None] = None
    assumes: ClassVar[dict[str, tuple[Any, ...] | None]] = {}

    def __init__(self, document: dict[str, Any]):
        self.document = document
        listed = document["state_dict"] if "state_dict" in document else document["entries"]
        self.shapes = {name: tuple(shape) for name, shape, *_ in listed}
        self.kinds = {name: kind for name, _, kind, *_ in listed}
        self.config: dict[str, Any] = dict(document["config"] if "config" in document else self.infer())
        self._check_options()
        self.config["mlp_ratio"] = float(self.config["mlp_ratio"])

    def _check_options(self) -> None:
        """Raises ValueError for a configuration that `build` would turn into a different model."""
        if self.reads is None:
            return
        if missing := self.reads - self.config.keys():
            raise ValueError(f"The config of a {type(self).__name__} lacks {sorted(missing)}.")
        for name, value in self.config.items():
            allowed = self.assumes.get(name, ())
            if name not in self.reads and allowed is not None and value not in allowed:
                wanted = f"one of {list(allowed)}" if allowed else "no such option"
                raise ValueError(f"{type(self).__name__} cannot rebuild {name}={value!r}; it knows {wanted}.")

    @abstractmethod
    def infer(self) -> dict[str, Any]:
        """Constructor arguments that give the listed shapes, with any valid num_heads, which no shape determines."""

    @abstractmethod
    def build(self) -> nn.Module:
        """Our counterpart with initial weights."""

    @abstractmethod
    def observe(self, run: Run) -> dict[str, Tensor | list[Any]]:
        """Recorded values of a run, except loss, terms, mask and gradients, by their names in the file."""

    def is_fixed(self, name: str) -> bool:
        """Whether the released code computes an entry."""
        return formulas.is_fixed(name)

    def fixed(self, name: str) -> np.ndarray:
        """A table of the released code that no formula fills."""
        shape = self.shapes[name]
        return formulas.SOBEL if len(shape) == 4 else formulas.sincos(shape[1], shape[2])

    @cached_property
    def released(self) -> dict[str, np.ndarray]:
        """The released state dict, in its own names, order and layout."""
        return {
            name: self.fixed(name) if self.is_fixed(name) else formulas.weight(name, shape, self.linear_in_out)
            for name, shape in self.shapes.items()
        }

    @cached_property
    def noise(self) -> Tensor:
        return torch.tensor(self.document["inputs"]["noise"], dtype=torch.float64)

    def masker(self) -> Masker:
        """A masker that draws the recorded mask, if there is one."""
        if "inputs" not in self.document:
            return RandomMasker()
        return StoredNoise(self.document["inputs"]["mask_ratio"], self.noise)

    def order(self) -> list[Any]:
        """Rank of every patch in the noise (`ids_restore`)."""
        return self.noise.argsort(dim=1).argsort(dim=1).tolist()

    def mask_values(self, mask: Mask) -> list[Any]:
        """The mask in the file's format: 1 is hidden."""
        return mask.hidden.flatten(1).int().tolist()

    def run(self, precision: str, device: str = "cpu") -> Run:
        """Loads the released weights and runs one forward and backward pass in `float32` or `float64`."""
        dtype = getattr(torch, precision)
        method = self.build()
        self.format.load({name: torch.from_numpy(value) for name, value in self.released.items()}, method)
        self.prepare(method)
        method.to(device, dtype).train()
        images = torch.from_numpy(formulas.image(self.config["img_size"])).to(device, dtype)
        mask = self.draw(method, images)
        output = method(images, mask)
        output.loss.backward()
        with torch.no_grad():
            features = method.encode(images, mask, range(method.encoder.depth + 1))
        return _brought_back(Run(method, images, features, output))

    def draw(self, method: Method, images: Tensor) -> Any:
        """The recorded mask."""
        return method.draw_any(len(images), images.device)

    def prepare(self, method: nn.Module) -> None:
        """Replaces tables that a file lists and a state dict of ours leaves out, where they differ by rounding."""
        return

    def gradients(self, method: Method) -> dict[str, np.ndarray | None]:
        """The gradient of every trainable parameter, in the released names and layout."""
        names = self.format.names(method)
        return {
            names[name]: None if p.grad is None else self.format.write(name, p.grad).double().numpy()
            for name, p in method.named_parameters()
            if p.requires_grad
        }

    def shuffled(self, tokens: Tokens) -> Tensor:
        """Prefix and patches in the order of the released code, which sorts visible patches by ascending noise."""
        keep = self.noise.argsort(dim=1)[:, : tokens.index.shape[1]]
        place = keep.argsort(dim=1).argsort(dim=1)[..., None].expand(-1, -1, tokens.patches.shape[2])
        return torch.cat([tokens.prefix, tokens.patches.gather(1, place)], dim=1)

    def vit(self) -> ViTEncoder:
        """The encoder that the four released ViT classes share."""
        c = self.config
        sizes = (c["img_size"], c["patch_size"], c["embed_dim"], c["depth"], c["num_heads"], c["mlp_ratio"])
        return vit(*sizes, in_channels=c["in_chans"])

    def vit_sizes(self) -> dict[str, Any]:
        """Sizes of a ViT encoder, from the shapes."""
        width, _, patch, _ = self.shapes["patch_embed.proj.weight"]
        hidden = max(self.shapes["blocks.0.mlp.fc1.weight"])
        side = round((self.shapes["pos_embed"][1] - 1) ** 0.5)
        return {
            "img_size": side * patch,
            "patch_size": patch,
            "in_chans": self.shapes["patch_embed.proj.weight"][1],
            "embed_dim": width,
            "depth": count(self.shapes, "blocks."),
            "num_heads": width // 32,
            "mlp_ratio": hidden / width,
        }


def _brought_back(run: Run) -> Run:
    output, mask = run.output, run.output.mask
    features = {
        depth: Tokens(tokens.patches.cpu(), tokens.prefix.cpu(), tokens.index.cpu(), tokens.grid)
        for depth, tokens in run.features.items()
    }
    terms = {name: term.cpu() for name, term in output.terms.items()}
    if isinstance(mask, Regions):
        return run
    ignored = None if mask.ignored is None else mask.ignored.cpu()
    seen = Mask(mask.hidden.cpu(), mask.num_visible, mask.shared, ignored, mask.num_ignored)
    found = Output(output.loss.cpu(), terms, [prediction.cpu() for prediction in output.predictions], seen)
    return Run(run.method.cpu(), run.images.cpu(), features, found)


def count(names: dict[str, Any], prefix: str) -> int:
    """Length of the list of modules whose entries start with `prefix`."""
    return len({name.removeprefix(prefix).split(".")[0] for name in names if name.startswith(prefix)})

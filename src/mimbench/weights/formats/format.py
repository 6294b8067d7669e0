"""Translation between released and our state dicts."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

# Follow from the sizes; older files contain them.
COMPUTED = (".relative_position_index", ".attn_mask")


class Format:
    """Names and layout of the weights of one released code base.

    Only the mapping from our names to released ones is defined; its inverse follows from the parameters of a module.
    Reading is strict: each entry of the file is loaded, or is a fixed table that must be equal to ours.

    Args:
        name: Name of the format.
        prefixes: Maps prefixes of our names to prefixes of released names; the longest matching one is used. None if
            released files have no such entry.

    Attributes:
        tolerance: Largest allowed difference between a fixed table of the file and ours.
    """

    # Both are computed in float64 and rounded to float32, and may differ in the last bit.
    tolerance: float = 1e-6

    def __init__(self, name: str, prefixes: Mapping[str, str | None]):
        self.name = name
        self.prefixes = dict(sorted(prefixes.items(), key=lambda item: -len(item[0])))

    def rename(self, name: str) -> str | None:
        """The released name of one of our entries, or None if released files do not contain it.

        Raises:
            ValueError: The format does not know the entry.
        """
        for ours, theirs in self.prefixes.items():
            if name.startswith(ours):
                return None if theirs is None else theirs + name.removeprefix(ours)
        raise ValueError(f"The {self.name} format has no place for '{name}'; the released model has no such part.")

    def read(self, name: str, tensor: Tensor) -> Tensor:
        """Converts a released tensor to the layout of our entry `name`; unchanged by default."""
        return tensor

    def write(self, name: str, tensor: Tensor) -> Tensor:
        """Converts our entry `name` to the released layout; the inverse of `read`."""
        return tensor

    def own_entry(self, entry: str, module: nn.Module) -> str:
        """The name in `names` of an entry of a file; differs from it if several entries form one tensor of ours."""
        return entry

    def names(self, module: nn.Module) -> dict[str, str]:
        """Maps our names to released names, for all entries of a module that released files contain."""
        renamed = {name: self.rename(name) for name in entries(module)}
        return {ours: theirs for ours, theirs in renamed.items() if theirs is not None}

    def convert(self, released: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
        """Converts a released state dict to our names and layout.

        Raises:
            ValueError: Entries are missing, unexpected or of another shape, or a fixed table differs from ours.
        """
        names, ours = self.names(module), entries(module)
        self._check_names(released, set(names.values()))
        read = {name: self.read(name, released[theirs]) for name, theirs in names.items()}
        if wrong := [
            f"{names[name]} gives {list(tensor.shape)} instead of {list(ours[name].shape)}"
            for name, tensor in read.items()
            if tensor.shape != ours[name].shape
        ]:
            raise ValueError(f"{self.name} weights of another size: {_listed(wrong)}.")
        fixed = read.keys() - module.state_dict().keys()
        if wrong := [names[name] for name in sorted(fixed) if not self._agree(read[name], ours[name])]:
            raise ValueError(f"The file's {_listed(wrong)} differ from the fixed tables of this model.")
        return {name: tensor for name, tensor in read.items() if name not in fixed}

    def load(self, released: Mapping[str, Tensor], module: nn.Module) -> None:
        """Loads a released state dict; raises the errors of `convert` before anything is changed."""
        # Parameters that the format does not contain, such as a frozen teacher, stay unchanged.
        module.load_state_dict(module.state_dict() | self.convert(released, module))

    def export(self, module: nn.Module) -> dict[str, Tensor]:
        """The weights of a module with the names and layout of the released code."""
        ours = entries(module)
        return {theirs: self.write(name, ours[name]) for name, theirs in self.names(module).items()}

    def _agree(self, theirs: Tensor, ours: Tensor) -> bool:
        return torch.allclose(theirs.to(ours), ours, rtol=0, atol=self.tolerance)

    def _check_names(self, released: Iterable[str], expected: set[str]) -> None:
        missing, unexpected = sorted(expected - set(released)), sorted(set(released) - expected)
        if missing or unexpected:
            raise ValueError(
                f"Not the {self.name} weights of this model. "
                f"Missing in the file: {_listed(missing)}. Unexpected in the file: {_listed(unexpected)}."
            )


def entries(module: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers by name, including those that a state dict leaves out."""
    return dict(module.state_dict()) | {
        name: buffer.detach() for name, buffer in module.named_buffers(remove_duplicate=False)
    }


def _listed(items: list[str], most: int = 10) -> str:
    rest = f" and {len(items) - most} more" if len(items) > most else ""
    return (", ".join(items[:most]) or "nothing") + rest

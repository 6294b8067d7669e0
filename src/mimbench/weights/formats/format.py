"""Translation between a released state dict and ours."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

# timm computes them from the sizes; older files hold them.
COMPUTED = (".relative_position_index", ".attn_mask")


class Format:
    """Names and layout of the weights of one released code.

    Only one direction is written down, ours to theirs; a module tells the rest. Reading is strict: every entry of
    the file is either loaded, or one of the fixed tables that we make ourselves, and then it must agree with ours.

    Args:
        name: What a user calls it.
        prefixes: Start of a name of ours -> start of the released name; of several, the longest counts.
            None: the released file has no such entry.

    Attributes:
        tolerance: Largest difference between a fixed table of the file and ours.
    """

    # Both come from float64 formulas rounded to float32 and may differ in the last bit.
    tolerance: float = 1e-6

    def __init__(self, name: str, prefixes: Mapping[str, str | None]):
        self.name = name
        self.prefixes = dict(sorted(prefixes.items(), key=lambda item: -len(item[0])))

    def rename(self, name: str) -> str | None:
        """The released name of an entry of ours, or None where the released file has none.

        Raises:
            ValueError: The format does not know the entry.
        """
        for ours, theirs in self.prefixes.items():
            if name.startswith(ours):
                return None if theirs is None else theirs + name.removeprefix(ours)
        raise ValueError(f"The {self.name} format has no place for '{name}'; the released model has no such part.")

    def read(self, name: str, tensor: Tensor) -> Tensor:
        """A released tensor in the layout of our entry `name`; the same by default."""
        return tensor

    def write(self, name: str, tensor: Tensor) -> Tensor:
        """Our entry `name` in the released layout; the inverse of `read`."""
        return tensor

    def own_entry(self, entry: str, module: nn.Module) -> str:
        """The entry that `names` gives for an entry of a file; another one where several become one tensor of ours."""
        return entry

    def names(self, module: nn.Module) -> dict[str, str]:
        """Our name -> released name, for all entries of a module that a released file holds."""
        renamed = {name: self.rename(name) for name in entries(module)}
        return {ours: theirs for ours, theirs in renamed.items() if theirs is not None}

    def convert(self, released: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
        """A released state dict in our names and layout.

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
        """Loads a released state dict; raises as `convert` does and leaves nothing half-loaded."""
        # What the format does not hold, such as a frozen teacher, stays as it is.
        module.load_state_dict(module.state_dict() | self.convert(released, module))

    def export(self, module: nn.Module) -> dict[str, Tensor]:
        """The module's weights as the released code names and lays them out."""
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
    """All parameters and buffers by name, those that a state dict leaves out included."""
    return dict(module.state_dict()) | {
        name: buffer.detach() for name, buffer in module.named_buffers(remove_duplicate=False)
    }


def _listed(items: list[str], most: int = 10) -> str:
    rest = f" and {len(items) - most} more" if len(items) > most else ""
    return (", ".join(items[:most]) or "nothing") + rest

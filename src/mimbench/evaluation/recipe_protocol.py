"""Base class of protocols that train with a named recipe."""

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from mimbench.evaluation.base import ImageProtocol


@dataclass
class RecipeProtocol(ImageProtocol):
    """<task>-<recipe>: named after the recipe and every value that differs from the published recipe.

    Attributes:
        task: First part of the name.
        recipe: The training recipe; a dataclass with a `name`.
        published: The published recipe of this name; the label lists the values in which `recipe` differs.
        seed: Determines new parameters, the order of images and all random draws.
        grad_checkpointing: Whether the backward pass computes activations again: less memory, a third more time.
    """

    task: ClassVar[str]

    recipe: Any
    published: Any = field(metadata={"card": False})
    seed: int = 0
    grad_checkpointing: bool = field(default=False, metadata={"card": False})

    @property
    def name(self) -> str:
        return f"{self.task}-{self.recipe.name}"

    def card(self) -> "RecipeProtocol":
        return type(self)(recipe=self.published, published=self.published)

    def deviations(self) -> dict[str, Any]:
        found = super().deviations()
        if found.pop("recipe", None) is not None:
            published = asdict(self.published)
            found |= {name: value for name, value in asdict(self.recipe).items() if value != published[name]}
        return found

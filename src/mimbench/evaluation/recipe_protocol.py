"""Protocols that train by a named recipe."""

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from mimbench.evaluation.base import ImageProtocol


@dataclass
class RecipeProtocol(ImageProtocol):
    """<task>-<recipe>: what is trained by a recipe is called by it, and by every value in which it differs.

    Attributes:
        task: What its name begins with.
        recipe: How to train; a dataclass with a `name`.
        published: The recipe that its name stands for; where `recipe` differs, the label says so.
        seed: Of what is new, the order of images and all random draws.
        grad_checkpointing: Less memory, about a third more time.
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
            theirs = asdict(self.published)
            found |= {name: value for name, value in asdict(self.recipe).items() if value != theirs[name]}
        return found

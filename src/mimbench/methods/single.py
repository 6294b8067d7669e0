"""Methods with one prediction and one target."""

from jaxtyping import Float
from torch import Tensor

from mimbench.core import Mask
from mimbench.methods.base import Method
from mimbench.methods.hidden import hidden_mean
from mimbench.targets import PixelTarget, Target, target_values


class SinglePrediction(Method):
    """One prediction, compared with one target on the predicted cells.

    Attributes:
        target: Set by the subclass.
    """

    target: Target

    @property
    def branches(self) -> list[tuple[int, Target]]:
        return [(self.depths[-1], self.target)]

    def losses(
        self, images: Float[Tensor, "b c h w"], predictions: list[Tensor], mask: Mask
    ) -> dict[str, Float[Tensor, ""]]:
        value = target_values([self.target], images, mask)[self.target]
        return {"hidden": hidden_mean(self.target, images, value, predictions[0], mask)}

    def to_images(self, images: Float[Tensor, "b c h w"], predictions: list[Tensor]) -> dict[str, Tensor]:
        target = self.target
        return {"prediction": target.to_image(predictions[0], images)} if isinstance(target, PixelTarget) else {}

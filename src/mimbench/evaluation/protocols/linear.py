"""A linear classifier on frozen features."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mimbench.core import generator
from mimbench.evaluation.base import FeatureProtocol, FeatureSource
from mimbench.evaluation.features.extraction import FeatureKind, Features
from mimbench.evaluation.probes.heads import train_heads, whitened
from mimbench.evaluation.probes.whitening import Whitening
from mimbench.evaluation.selection import Selected, accuracy, measure, num_classes

_READS: dict[FeatureKind, tuple[FeatureKind, ...]] = {
    "patches": ("patches",),
    "token": ("token",),
    "both": ("patches", "token"),
}


@dataclass
class Linear(FeatureProtocol):
    """linear-v1: multinomial logistic regression, trained by SGD with all learning rates in parallel.

    Features: mean of the patch tokens of the last depth (after the trunk's final norm), evaluation transform.
    Normalization: mean 0 and standard deviation 1 per channel, with the statistics of "train".
    Head: linear with bias; cross-entropy plus |weight|^2 / 2n for n training images, which is the objective of
        scikit-learn's LogisticRegression with C = 1.
    Optimizer: SGD in whitened coordinates (see `Whitening`), momentum 0.9, cosine to 0, heads start at 0, the order
        of images from `seed`; 50 epochs at batch 256, or 1,000 steps if these are more. No early stopping: the head
        after the last step is evaluated.
    Grid: learning rates 0.05, 0.1, 0.2, 0.5, 1, 2; with `sources`, also the features, see `LinearSources`.
    Selection: accuracy on "val"; the largest rate among equals, since it has converged further.
    Read once, after selection: "test".

    Raises:
        ValueError: There is no source or learning rate, or a rate, epochs or batch_size is not positive.
    """

    name = "linear-v1"

    lrs: tuple[float, ...] | list[float] = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
    epochs: int = 50
    min_steps: int = 1000
    batch_size: int = 256
    seed: int = 0
    sources: tuple[FeatureKind, ...] | list[FeatureKind] = ("patches",)

    def __post_init__(self) -> None:
        given, self.lrs, self.sources = self.lrs, tuple(sorted(float(lr) for lr in self.lrs)), tuple(self.sources)
        if not self.lrs or self.lrs[0] <= 0 or self.epochs < 1 or self.batch_size < 1:
            raise ValueError(
                f"lrs, epochs and batch_size must be positive, got {list(given)}, {self.epochs}, {self.batch_size}."
            )
        if not self.sources or not set(self.sources) <= set(_READS):
            raise ValueError(f"sources must be among {', '.join(_READS)}, got {list(self.sources)}.")

    def reads(self, depth: int) -> set[str]:
        return {f"{kind}-{depth}" for source in self.sources for kind in _READS[source]}

    def __call__(self, features: FeatureSource) -> dict[str, Any]:
        return measure(self.select, features)[0]

    def select(self, train: Features, val: Features, depth: int) -> Selected:
        """The best head at one depth."""
        return self.select_all(train, val, [depth])[depth]

    def select_all(self, train: Features, val: Features, depths: Sequence[int]) -> dict[int, Selected]:
        """The best head at each of the depths; all heads are trained in one pass."""
        cells: list[tuple[int, FeatureKind]] = [(depth, kind) for depth in depths for kind in self._kinds(train)]
        rows = [train.rows(*cell) for cell in cells]
        whitenings = [Whitening.of(x, ridge=1 / len(x)) for x in rows]
        steps_per_epoch = math.ceil(len(train.labels) / self.batch_size)
        heads = train_heads(
            whitened(rows, whitenings),
            train.labels.to(train.device),
            num_classes(train),
            self.lrs,
            max(self.epochs, math.ceil(self.min_steps / steps_per_epoch)),
            self.batch_size,
            [whitening.decay for whitening in whitenings],
            generator(self.seed),
        )
        truth, best = val.labels.to(val.device), dict[int, Selected]()
        for (depth, kind), whitening, trained in zip(cells, whitenings, heads, strict=True):
            for g, predicted in enumerate(trained.predict(whitening(val.at(depth, kind))).unbind(1)):
                score = accuracy(predicted, truth)
                # Among equal scores the largest rate of the first source wins.
                rival = best.get(depth)
                if rival is None or score > rival.val_accuracy or (score == rival.val_accuracy and kind == rival.kind):
                    chosen = trained.only(g)
                    setting: dict[str, Any] = {"lr": self.lrs[g]} | ({"source": kind} if len(self.sources) > 1 else {})
                    best[depth] = Selected(
                        setting,
                        score,
                        lambda x, w=whitening, h=chosen: h.predict(w(x)).squeeze(1),
                        kind,
                        lambda x, w=whitening, h=chosen: h.logits(w(x)).squeeze(1),
                    )
        return best

    def _kinds(self, train: Features) -> list[FeatureKind]:
        """The sources that are available for the trunk."""
        known: list[FeatureKind] = [kind for kind in _READS if kind in self.sources]
        return [kind for kind in known if kind == "patches" or train.token] or known[:1]


@dataclass
class LinearSources(Linear):
    """linear-v2: linear-v1 with a choice of features.

    Features: mean of the patch tokens, class token, or both concatenated, of the last depth after the trunk's
        final norm; only the mean for a trunk without a class token.
    Grid: the learning rates of linear-v1 x these sources, all trained in the same pass over the features.
    Selection: accuracy on "val"; among equals the first of these sources and its largest rate.
    Everything else: as in linear-v1.
    """

    name = "linear-v2"

    sources: tuple[FeatureKind, ...] | list[FeatureKind] = ("patches", "token", "both")

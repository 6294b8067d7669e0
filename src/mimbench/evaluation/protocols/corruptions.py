"""Accuracy of a linear head under common corruptions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mimbench.data.corruptions import CORRUPTIONS, WITH_FROST, Corrupted, corrupt, reference
from mimbench.data.reload import reload
from mimbench.evaluation.base import ImageProtocol, Subject
from mimbench.evaluation.features.extraction import extract
from mimbench.evaluation.protocols.linear import Linear
from mimbench.evaluation.selection import accuracy, check_classes
from mimbench.runs.directory import EVALUATION

# Mean error of AlexNet over severities 1 to 5 of ImageNet-C, from the authors' code (arXiv 1903.12261, table 1).
ALEXNET = {
    "gaussian_noise": 0.886428, "shot_noise": 0.894468, "impulse_noise": 0.922640, "defocus_blur": 0.819880,
    "glass_blur": 0.826268, "motion_blur": 0.785948, "zoom_blur": 0.798360, "snow": 0.866816, "frost": 0.826572,
    "fog": 0.819324,
    "brightness": 0.564592, "contrast": 0.853204, "elastic_transform": 0.646056, "pixelate": 0.717840,
    "jpeg_compression": 0.606500,
}  # fmt: skip


@dataclass(frozen=True)
class Baseline:
    """Errors of the model to which a result is compared.

    Attributes:
        errors: Mean error over severities by corruption.
        clean: Error on clean images; None if unknown.
        num_test: Number of test images; None if another number is allowed.
    """

    errors: dict[str, float]
    clean: float | None = None
    num_test: int | None = None


@dataclass
class Corruptions(ImageProtocol):
    """corruptions-v1: the head of linear-v1 on test images under 14 corruptions at severities 1 to 5; 15 with frost.

    Features, normalization, head, optimizer, grid and selection: those of linear-v1 on clean images, whose accuracy is
        repeated as `clean_accuracy`. Nothing is selected on corrupted images.
    Corruptions: Hendrycks and Dietterich 2019, all but frost, which needs photographs; made on test images after the
        evaluation transform; see `mimbench.data.corruptions`. Strengths of CIFAR-10-C below 85 px, else of ImageNet-C.
    Result: `errors` by corruption and severity; `accuracy` is 1 - `mean_error`, the mean of all of them. With a
        baseline `mce`: the mean over corruptions of the sum of errors over the baseline's sum, 1 for the baseline
        itself (the paper multiplies it by 100); `relative_mce` likewise of what each error exceeds the clean error by.
    Read once, after selection: "test".

    Args:
        frost: A folder with the authors' photographs of frost; adds this corruption, and "+frost=True" to the name.
        baseline: A run with a result of this protocol, such as the untrained encoder's, or "alexnet" for ImageNet.

    Raises:
        ValueError: There is no such corruption, severity or baseline; or (when called) the baseline lacks errors.
    """

    name = "corruptions-v1"

    linear: Linear = field(default_factory=Linear)
    corruptions: tuple[str, ...] | list[str] = tuple(CORRUPTIONS)
    severities: tuple[int, ...] | list[int] = (1, 2, 3, 4, 5)
    seed: int = 0
    frost: str | None = field(default=None, metadata={"card": False})
    baseline: str | None = field(default=None, metadata={"card": False})

    def __post_init__(self) -> None:
        self.corruptions, self.severities = tuple(self.corruptions), tuple(self.severities)
        self._frosts = None if self.frost is None else Path(self.frost)
        if self._frosts is not None and self.corruptions == tuple(CORRUPTIONS):
            self.corruptions = WITH_FROST
        known = CORRUPTIONS if self._frosts is None else WITH_FROST
        if unknown := sorted(set(self.corruptions) - set(known)):
            hint = (
                " Frost needs the authors' photographs: protocol.corruptions.frost=DIR." if "frost" in unknown else ""
            )
            raise ValueError(f"There are no corruptions {unknown}; choose from {', '.join(known)}.{hint}")
        if not self.corruptions or not self.severities or not set(self.severities) <= {1, 2, 3, 4, 5}:
            raise ValueError(
                f"Name at least one corruption and severities from 1 to 5, got {list(self.corruptions)} and "
                f"{list(self.severities)}."
            )
        self._reference = None if self.baseline is None else self._read(self.baseline)

    def check(self, datamodule: Any) -> None:
        super().check(datamodule)
        if self._frosts is not None:
            corrupt(np.zeros((datamodule.image_size,) * 2 + (3,), np.uint8), "frost", 1, 0, 0, self._frosts)

    def deviations(self) -> dict[str, Any]:
        found = super().deviations()
        if self.corruptions == WITH_FROST:
            del found["corruptions"]
            found["frost"] = True
        return found

    def reads(self, depth: int) -> set[str]:
        return {f"patches-{depth}"}

    def __call__(self, subject: Subject) -> dict[str, Any]:
        train, val, depth = subject.features("train"), subject.features("val"), subject.encoder.depth
        check_classes(train, val, "val")
        chosen = self.linear.select(train, val, depth)
        test = subject.features("test")
        check_classes(train, test, "test")
        labels = test.labels.to(test.device)
        if self._reference is not None and self._reference.num_test not in (None, len(labels)):
            raise ValueError(
                f"baseline={self.baseline} was measured on {self._reference.num_test} test images, these are "
                f"{len(labels)}; name a run on the same data."
            )
        clean = accuracy(chosen.predict(test.at(depth)), labels)
        plain = subject.datamodule.plain("test")

        def error(name: str, severity: int) -> float:
            loader = reload(plain, Corrupted(plain.dataset, name, severity, self.seed, self._frosts))
            found = extract(subject.encoder, loader, [depth], subject.device)
            return 1 - accuracy(chosen.predict(found.at(depth)), labels)

        errors = {name: [error(name, severity) for severity in self.severities] for name in self.corruptions}
        mean = float(np.mean(list(errors.values())))
        return {
            "accuracy": 1 - mean,
            "clean_accuracy": clean,
            "mean_error": mean,
            "num_test": len(labels),
            **chosen.setting,
            "val_accuracy": chosen.val_accuracy,
            "depth": depth,
            "severities": list(self.severities),
            "strengths": "CIFAR-10-C" if reference(subject.datamodule.image_size) == 32 else "ImageNet-C",
            "errors": errors,
        } | self._relative(errors, 1 - clean)

    def _relative(self, errors: Mapping[str, list[float]], clean: float) -> dict[str, Any]:
        """Errors relative to the baseline's."""
        if self._reference is None:
            return {}
        base, base_clean = self._reference.errors, self._reference.clean
        means = {name: float(np.mean(own)) for name, own in errors.items()}
        found: dict[str, Any] = {"baseline": self.baseline, "mce": _mean_ratio(means, base)}
        if base_clean is not None:
            excess = {name: mean - clean for name, mean in means.items()}
            found["relative_mce"] = _mean_ratio(excess, {name: mean - base_clean for name, mean in base.items()})
        return found

    def _read(self, baseline: str) -> "Baseline":
        if baseline == "alexnet":
            if self.severities != (1, 2, 3, 4, 5):
                raise ValueError("AlexNet's errors are means over severities 1 to 5; do not change severities.")
            return Baseline(ALEXNET)
        path = Path(baseline) / EVALUATION / f"{self.label}.json"
        if not path.is_file():
            raise ValueError(
                f"baseline={baseline}: there is no {path}; evaluate that run under {self.label} first, or take alexnet."
            )
        result = json.loads(path.read_text(encoding="utf-8"))
        if missing := sorted(set(self.corruptions) - result["errors"].keys()):
            raise ValueError(f"{path} lacks errors under {', '.join(missing)}; evaluate that run again.")
        errors = {name: float(np.mean(own)) for name, own in result["errors"].items()}
        return Baseline(errors, 1 - result["clean_accuracy"], result["num_test"])


def _mean_ratio(own: Mapping[str, float], base: Mapping[str, float]) -> float | None:
    """None where the baseline makes no error to compare with."""
    ratios = [value / base[name] for name, value in own.items() if base[name] > 0]
    return float(np.mean(ratios)) if len(ratios) == len(own) else None

"""Our classifiers equal the released fine-tuning code on the same weights and images."""

from typing import Any

import formulas
import numpy as np
import pytest
from cases.finetune import MAEFinetuneCase, Pass
from formulas import deviation

OTHERS = {"loss", "grads"}


@pytest.fixture
def found(classifier: MAEFinetuneCase, precision: str) -> Pass:
    return classifier.forward(precision)


def test_weights_follow_the_formula(classifier: MAEFinetuneCase):
    wanted = classifier.document["weights"]["sha256_f32_of_filled_in_state_dict_order"]
    everything = list(classifier.released.values())
    assert wanted in (formulas.sha256(classifier.filled), formulas.sha256(everything))
    for name, _, _, l2 in classifier.document["state_dict"]:
        assert np.linalg.norm(classifier.released[name].astype(np.float64)) == pytest.approx(l2, rel=1e-12), name


def test_images_follow_the_formula(classifier: MAEFinetuneCase):
    wanted = classifier.document["inputs"]["image"]["sha256_f32"]
    assert formulas.sha256([formulas.image(classifier.config["img_size"])]) == wanted


def test_everything_recorded_is_equal(classifier: MAEFinetuneCase, precision: str, tolerance: float, found: Pass):
    records = {k: v for k, v in classifier.document[precision].items() if k not in OTHERS}
    assert records, "the file records no output"
    for name, record in records.items():
        record = record if isinstance(record, dict) else {"shape": list(np.shape(record)), "values": record}
        ours = classifier.match(name, record, found).detach().double().numpy()
        assert deviation(record.get("values", record), ours) < tolerance, name


def test_loss_and_gradients(classifier: MAEFinetuneCase, precision: str, tolerance: float, found: Pass):
    recorded: dict[str, Any] = classifier.document[precision]
    if "loss" not in recorded:
        assert "grads" not in recorded
        return
    losses = classifier.objectives(found.logits)
    name = min(losses, key=lambda name: deviation(recorded["loss"], losses[name].item()))
    assert deviation(recorded["loss"], losses[name].item()) < tolerance, f"nearest was {name}"
    gradients = _gradients(classifier, found, name)
    for entry, wanted in recorded.get("grads", {}).get("selected", {}).items():
        assert deviation(wanted, gradients[entry]) < tolerance, entry
    for entry, l2 in recorded.get("grads", {}).get("all_l2", {}).items():
        assert abs(np.linalg.norm(gradients[entry]) - l2) < 1e-8 * max(l2, 1e-300), entry


def _gradients(classifier: MAEFinetuneCase, found: Pass, objective: str) -> dict[str, Any]:
    found.model.zero_grad()
    classifier.objectives(found.model(found.images))[objective].backward()
    return classifier.gradients(found.model)

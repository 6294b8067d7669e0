"""Our methods equal the released code on the same weights, images and masks."""

from typing import Any

import formulas
import numpy as np
import pytest
from cases.base import Case, Run
from formulas import deviation

GENERIC = {"loss", "loss_terms", "mask", "ids_restore", "grads"}
STEPS = {"step1", "step2"}  # compared in test_ijepa.py


def test_weights_follow_the_formula(case: Case):
    filled = [value for name, value in case.released.items() if not case.is_fixed(name)]
    assert formulas.sha256(filled) == case.document["weights"]["sha256_f32_of_filled_in_state_dict_order"]


def test_fixed_tables_equal_the_released_ones(case: Case):
    for name, _, _, l2 in case.document["state_dict"]:
        assert np.linalg.norm(case.released[name].astype(np.float64)) == pytest.approx(l2, rel=1e-12), name


def test_biases_of_hog_are_the_listed_ones(case: Case):
    for name, offset in case.document.get("hog_conv_bias", {}).items():
        assert case.released[name].tolist() == offset


def test_inputs_follow_the_formula(case: Case):
    inputs = case.document["inputs"]
    assert formulas.sha256([formulas.image(case.config["img_size"])]) == inputs["image"]["sha256_f32"]
    if "teacher_out" in inputs:
        assert formulas.sha256([case.teacher_output()]) == inputs["teacher_out"]["sha256_f32"]
    if "noise" in inputs:
        np.testing.assert_array_equal(case.noise, formulas.noise(case.noise.shape[1]))


def test_mask(case: Case, recorded: dict[str, Any], run: Run):
    if "mask" in recorded:  # I-JEPA's regions are listed
        assert case.mask_values(run.output.mask) == recorded["mask"]
    if "ids_restore" in recorded:
        assert case.order() == recorded["ids_restore"]


def test_loss(recorded: dict[str, Any], run: Run, tolerance: float):
    assert deviation(recorded["loss"], run.output.loss.item()) < tolerance


def test_loss_terms(recorded: dict[str, Any], run: Run, tolerance: float):
    wanted = recorded.get("loss_terms", [recorded["loss"]])
    for term, value in zip(wanted, run.output.terms.values(), strict=True):
        assert deviation(term, value.item()) < tolerance


def test_predictions_targets_and_features(case: Case, recorded: dict[str, Any], run: Run, tolerance: float):
    observed = case.observe(run)
    assert not recorded.keys() - observed.keys() - GENERIC - STEPS, "recorded, but not compared"
    for name in recorded.keys() & observed.keys():
        assert deviation(recorded[name], array(observed[name])) < tolerance, name


def test_gradients(case: Case, recorded: dict[str, Any], run: Run, tolerance: float):
    gradients = case.gradients(run.method)
    tolerance = tolerance if tolerance < 1e-5 else case.float32_gradients
    for name, wanted in recorded["grads"]["selected"].items():
        assert deviation(wanted, gradients[name]) < tolerance, name
    norms = [np.linalg.norm(g) for g in gradients.values() if g is not None]
    assert deviation(recorded["grads"]["total_l2"], np.linalg.norm(norms)) < tolerance


def test_gradient_norm_of_every_parameter(case: Case, exact_run: Run):
    recorded, gradients = case.document["float64"]["grads"], case.gradients(exact_run.method)
    assert sorted(name for name, g in gradients.items() if g is None) == sorted(recorded["params_without_grad"])
    norms = {name: np.linalg.norm(g) for name, g in gradients.items() if g is not None}
    assert norms.keys() == recorded["all_l2"].keys()
    for name, l2 in recorded["all_l2"].items():
        assert abs(norms[name] - l2) < 1e-8 * l2, name


def array(value: Any) -> np.ndarray:
    return value.detach().double().numpy() if hasattr(value, "detach") else np.asarray(value)

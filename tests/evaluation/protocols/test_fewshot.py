import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from mimbench.evaluation import FewShot
from mimbench.evaluation.protocols.fewshot import draw_images, fit

QUICK = FewShot(shots=(1, 5), num_draws=3, cs=(0.1, 1.0))


def test_a_fit_is_scikit_learns(make_features):
    train = make_features()["train"]
    x = train.at(1)[:40]
    weight, bias = fit(x, train.labels[:40], 5, 0.3)
    reference = LogisticRegression(C=0.3, max_iter=5000, tol=1e-9).fit(x.double(), train.labels[:40])
    ours = (x.double() @ weight.T + bias).softmax(1)
    np.testing.assert_allclose(ours, reference.predict_proba(x.double()), atol=2e-4)  # slopes of 1e-5 are left


def test_every_class_gives_as_many_images_and_more_shots_add_to_fewer():
    labels = torch.tensor([0, 1, 2, 2, 1, 0, 0, 1, 2, 2])
    few, more = (draw_images(labels, num, 0, 1) for num in (2, 3))
    assert labels[more].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert set(few.tolist()) < set(more.tolist())
    assert draw_images(labels, 2, 0, 2).tolist() != few.tolist()


def test_it_reports_mean_and_deviation_over_the_draws(make_features):
    splits = make_features()
    result = QUICK(splits.__getitem__)
    alone = [FewShot(shots=[5], num_draws=1, cs=[result["c"][1]], seed=s)(splits.__getitem__) for s in (0,)]
    assert result["shots"] == [1, 5]
    assert result["accuracy"] == result["accuracies"][1]
    assert result["accuracies"][0] < result["accuracies"][1]  # the classes are close to each other
    assert result["std"] > 0
    assert alone[0]["std"] is None


def test_a_class_with_too_few_images_is_refused(make_features):
    splits = make_features(num_train=20)
    with pytest.raises(ValueError, match="Class 0 has 4 training images, fewer than the 5 to be drawn"):
        QUICK(splits.__getitem__)


@pytest.mark.parametrize("wrong", [{"shots": []}, {"shots": [0]}, {"num_draws": 0}, {"cs": [0.0]}, {"cs": []}])
def test_senseless_parameters_are_refused(wrong):
    with pytest.raises(ValueError, match="must be positive"):
        FewShot(**wrong)

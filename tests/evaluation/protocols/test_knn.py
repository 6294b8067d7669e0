import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from mimbench.evaluation import KNN, knn_predict
from mimbench.evaluation.protocols import knn


@pytest.mark.parametrize("k", [1, 2, 5, 20, 50])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_predictions_equal_scikit_learns(k, dtype):
    draws = torch.Generator().manual_seed(k)
    train = torch.randn(300, 24, generator=draws, dtype=dtype)
    queries = torch.randn(200, 24, generator=draws, dtype=dtype)
    labels = torch.randint(0, 7, (300,), generator=draws)
    reference = KNeighborsClassifier(k, metric="cosine", algorithm="brute").fit(train.numpy(), labels.numpy())
    predicted = knn_predict(train, labels, queries, k, 7)
    assert predicted.tolist() == reference.predict(queries.numpy()).tolist()


def test_equally_many_votes_go_to_the_smallest_label_as_in_scikit_learn():
    angles = torch.tensor([0.1, 0.2, 0.3, 0.4])
    train, labels = torch.stack([angles.cos(), angles.sin()], 1), torch.tensor([2, 1, 2, 1])
    query = torch.tensor([[1.0, 0.0]])
    reference = KNeighborsClassifier(4, metric="cosine", algorithm="brute").fit(train, labels)
    assert knn_predict(train, labels, query, 4, 3).tolist() == reference.predict(query).tolist() == [1]
    assert knn_predict(train, labels, query, 3, 3).tolist() == [2]


def test_length_of_features_does_not_matter():
    draws = torch.Generator().manual_seed(0)
    train, queries = torch.randn(50, 8, generator=draws), torch.randn(30, 8, generator=draws)
    labels = torch.randint(0, 4, (50,), generator=draws)
    scale = torch.rand(50, 1, generator=draws) + 0.5
    expected = knn_predict(train, labels, queries, 5, 4)
    assert torch.equal(knn_predict(train * scale, labels, queries * 7, 5, 4), expected)


def test_chunks_do_not_change_predictions(monkeypatch):
    draws = torch.Generator().manual_seed(0)
    train, queries = torch.randn(50, 8, generator=draws), torch.randn(31, 8, generator=draws)
    labels = torch.randint(0, 4, (50,), generator=draws)
    whole = knn_predict(train, labels, queries, 5, 4)
    monkeypatch.setattr(knn, "_MAX_ENTRIES", 200)  # four queries at a time
    assert torch.equal(knn_predict(train, labels, queries, 5, 4), whole)
    monkeypatch.setattr(knn, "_RESIDENT", 8 * 12)  # twelve training images at a time
    assert torch.equal(knn_predict(train, labels, queries, 5, 4), whole)


def test_k_is_the_best_on_val_and_the_smaller_among_equals(make_features):
    splits = make_features()
    train, val = splits["train"], splits["val"]
    scores = {
        k: (knn_predict(train.at(1), train.labels, val.at(1), k, 5) == val.labels).double().mean() for k in (1, 7, 9)
    }
    result = KNN(ks=[9, 1, 7])(splits.__getitem__)
    assert result["k"] == max(scores, key=lambda k: (scores[k], -k))
    assert result["val_accuracy"] == pytest.approx(float(max(scores.values())))
    assert result["depth"] == 1


def test_accuracy_is_that_of_scikit_learn_on_test(make_features):
    splits = make_features()
    result = KNN()(splits.__getitem__)
    train, test = splits["train"], splits["test"]
    reference = KNeighborsClassifier(result["k"], metric="cosine", algorithm="brute").fit(train.at(1), train.labels)
    assert result["accuracy"] == reference.score(test.at(1), test.labels)
    assert result["num_test"] == 80


def test_a_k_beyond_the_training_images_is_left_out(make_features):
    assert KNN(ks=[3, 10_000])(make_features().__getitem__)["k"] == 3


def test_fewer_training_images_than_every_k_are_refused(make_features):
    with pytest.raises(ValueError, match="k = 200 needs 200 training images, got 120"):
        KNN(ks=[200, 300])(make_features().__getitem__)


@pytest.mark.parametrize("ks", [[], [0, 5]])
def test_an_empty_or_senseless_grid_is_refused(ks):
    with pytest.raises(ValueError, match="at least one k"):
        KNN(ks=ks)

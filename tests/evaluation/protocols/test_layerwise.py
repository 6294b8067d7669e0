import json

from mimbench.evaluation import KNN, Layerwise, Linear, run_protocols


def test_the_last_depth_repeats_the_single_protocols_exactly(make_features):
    source = make_features(depths=4).__getitem__
    linear = Linear(epochs=5, min_steps=1)
    result, knn, probe = Layerwise(linear=linear)(source), KNN()(source), linear(source)
    assert (result["knn"][-1], result["k"][-1]) == (knn["accuracy"], knn["k"])
    assert (result["linear"][-1], result["lr"][-1]) == (probe["accuracy"], probe["lr"])


def test_every_depth_is_measured_by_itself(make_features):
    splits = make_features(depths=3)
    result = Layerwise(linear=Linear(epochs=5, min_steps=1))(splits.__getitem__)
    splits["train"].patches.pop(2)  # now depth 1 is the last
    assert result["depths"] == [0, 1, 2]
    assert result["knn"][1] == KNN()(splits.__getitem__)["accuracy"]
    assert result["linear"][1] == Linear(epochs=5, min_steps=1)(splits.__getitem__)["accuracy"]
    assert result["linear"][0] < result["linear"][2]  # the classes are further apart there


def test_results_survive_json(encoder, datamodule):
    linear = Linear(epochs=2, min_steps=1)
    results = run_protocols([KNN(ks=[1, 3]), linear, Layerwise(KNN(ks=[1, 3]), linear)], encoder, datamodule)
    assert json.loads(json.dumps(results)) == results
    knn, _, layerwise = results.values()
    assert layerwise["depths"] == [0, 1, 2, 3]
    assert knn["depth"] == 3

import numpy as np
import pytest
import torch

from mimbench.evaluation import KNN, FeatureCache, Layerwise, Linear, run_protocols


@pytest.fixture
def passes(datamodule, monkeypatch):
    """The splits that were read, in order."""
    read, plain = [], datamodule.plain
    monkeypatch.setattr(datamodule, "plain", lambda split: read.append(split) or plain(split))
    return read


def test_all_protocols_cost_one_pass_per_split_and_test_comes_last(encoder, datamodule, passes):
    protocols = [
        KNN(ks=[1, 3]),
        Linear(epochs=2, min_steps=1),
        Layerwise(KNN(ks=[1, 3]), Linear(epochs=2, min_steps=1)),
    ]
    results = run_protocols(protocols, encoder, datamodule)
    assert passes == ["train", "val", "test"]
    assert list(results) == ["knn-v1", "linear-v1", "layerwise-v1"]
    assert results["knn-v1"]["num_test"] == 28


def test_nothing_is_read_before_it_is_asked_for(encoder, datamodule, passes):
    cache = FeatureCache(encoder, datamodule)
    assert passes == []
    assert cache("val") is cache("val")
    assert passes == ["val"]


def test_features_on_disk_equal_those_in_memory(encoder, datamodule, tmp_path):
    memory, disk = FeatureCache(encoder, datamodule)("val"), FeatureCache(encoder, datamodule, "cpu", tmp_path)("val")
    assert torch.equal(memory.labels, disk.labels)
    for depth in range(4):
        assert torch.equal(memory.patches[depth], disk.patches[depth])
        assert torch.equal(memory.token[depth], disk.token[depth])


def test_a_second_job_reads_the_files_and_not_the_images(encoder, datamodule, tmp_path, passes):
    FeatureCache(encoder, datamodule, "cpu", tmp_path)("val")
    FeatureCache(encoder, datamodule, "cpu", tmp_path)("val")
    assert passes == ["val"]
    assert [path.name for path in tmp_path.iterdir()] == ["val"]


def test_files_are_never_written_through(encoder, datamodule, tmp_path):
    features = FeatureCache(encoder, datamodule, "cpu", tmp_path)("val")
    kept = features.patches[3].clone()
    features.patches[3].zero_()
    assert np.array_equal(np.load(tmp_path / "val" / "patches-3.npy"), kept.numpy())


def test_features_of_other_weights_are_refused(encoder, datamodule, tmp_path):
    FeatureCache(encoder, datamodule, "cpu", tmp_path)("val")
    encoder.trunk.norm.bias.data += 1
    with pytest.raises(ValueError, match="another encoder"):
        FeatureCache(encoder, datamodule, "cpu", tmp_path)("val")


def test_an_interrupted_extraction_leaves_nothing(encoder, datamodule, tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mimbench.evaluation.cache._publish", fail)
    with pytest.raises(KeyboardInterrupt):
        FeatureCache(encoder, datamodule, "cpu", tmp_path)("val")
    assert list(tmp_path.iterdir()) == []


def test_the_faster_of_two_jobs_wins(encoder, datamodule, tmp_path, monkeypatch):
    slow, fast = FeatureCache(encoder, datamodule, "cpu", tmp_path), FeatureCache(encoder, datamodule, "cpu", tmp_path)
    extract = slow._extract
    monkeypatch.setattr(slow, "_extract", lambda *a: fast("val") and extract(*a))  # fast ends while slow extracts
    assert torch.equal(slow("val").patches[3], fast("val").patches[3])
    assert [path.name for path in tmp_path.iterdir()] == ["val"]


def test_two_protocols_of_one_name_are_refused(encoder, datamodule):
    with pytest.raises(ValueError, match="Two protocols are called knn-v1"):
        run_protocols([KNN(), KNN(ks=[1])], encoder, datamodule)

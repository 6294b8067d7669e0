import os
import threading

import numpy as np
import pytest
import torch

from mimbench.core.errors import UserError
from mimbench.data import ImageDataModule
from mimbench.encoders import vit
from mimbench.evaluation import KNN, FeatureCache, Layerwise, Linear, run_protocols
from mimbench.evaluation.features.fingerprint import key, of_module

QUICK = Linear(epochs=2, min_steps=1)


@pytest.fixture
def passes(datamodule, monkeypatch):
    """The splits that were read in whole, in order."""
    read = []

    def watch(rows, encoder, loader, device):
        read.append(next(name for name in ("train", "val", "test") if loader.dataset.split is datamodule.split(name)))
        return fill(rows, encoder, loader, device)

    from mimbench.evaluation.features import cache

    fill = cache.fill
    monkeypatch.setattr(cache, "fill", watch)
    return read


def entries(directory):
    return sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))


@pytest.mark.parametrize("on_disk", [False, True])
def test_all_protocols_cost_one_pass_per_split_and_test_comes_last(encoder, datamodule, passes, tmp_path, on_disk):
    protocols = [KNN(ks=[1, 3]), QUICK, Layerwise(KNN(ks=[1, 3]), QUICK)]
    results = run_protocols(protocols, encoder, datamodule, cache=tmp_path if on_disk else None)
    assert passes == ["train", "val", "test"]
    assert [name.partition("+")[0] for name in results] == ["knn-v1", "linear-v1", "layerwise-v1"]


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
    assert len(entries(tmp_path)) == 1


def test_only_features_that_are_missing_are_added(encoder, datamodule, tmp_path, passes):
    FeatureCache(encoder, datamodule, "cpu", tmp_path, {"patches-3"})("val")
    (entry,) = entries(tmp_path)
    assert {path.stem for path in (tmp_path / entry).glob("*.npy")} == {"labels", "patches-3"}
    written = (tmp_path / entry / "patches-3.npy").stat().st_mtime_ns
    both = FeatureCache(encoder, datamodule, "cpu", tmp_path, {"patches-3", "patches-1"})("val")
    assert sorted(both.patches) == [1, 3]
    assert (tmp_path / entry / "patches-3.npy").stat().st_mtime_ns == written
    assert passes == ["val", "val"]


def test_files_are_never_written_through(encoder, datamodule, tmp_path):
    features = FeatureCache(encoder, datamodule, "cpu", tmp_path)("val")
    kept = features.patches[3].clone()
    features.patches[3].zero_()
    (entry,) = entries(tmp_path)
    assert np.array_equal(np.load(tmp_path / entry / "patches-3.npy"), kept.numpy())


def test_every_change_of_weights_settings_or_data_makes_another_key(encoder, datamodule):
    first = key(encoder, datamodule, "val")
    assert key(encoder, datamodule, "val") == first
    assert key(encoder, datamodule, "train") != first
    heads = vit(image_size=16, patch_size=8, width=32, depth=3, num_heads=4)
    heads.load_state_dict(encoder.state_dict())
    assert of_module(heads) != of_module(encoder)  # the number of heads is in no weight
    larger = ImageDataModule(datamodule.source, image_size=24)
    assert key(encoder, larger, "val") != first
    encoder.trunk.norm.bias.data += 1
    assert key(encoder, datamodule, "val") != first


@pytest.mark.parametrize("change", ["label", "image"])
def test_another_image_or_label_makes_another_key(encoder, datamodule, change):
    first = key(encoder, datamodule, "test")
    if change == "label":
        datamodule.split("test").labels[5] += 1
    else:
        datamodule.split("test").images[0, 0, 0, 0] += 40
    assert key(encoder, datamodule, "test") != first


def test_training_mode_and_batch_size_do_not_change_the_key(encoder, datamodule):
    first = key(encoder.train(), datamodule, "val")
    other = ImageDataModule(datamodule.source, batch_size=3, eval_batch_size=7, seed=5)
    assert key(encoder.eval(), other, "val") == first


def test_an_interrupted_extraction_leaves_no_features_and_no_lock(encoder, datamodule, tmp_path, monkeypatch):
    from mimbench.evaluation.features import cache

    def interrupt(rows, *_):
        rows["labels"][:] = 1
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cache, "fill", interrupt)
        with pytest.raises(KeyboardInterrupt):
            FeatureCache(encoder, datamodule, "cpu", tmp_path)("val")
    assert [list((tmp_path / entry).glob("*.npy")) for entry in entries(tmp_path)] == [[]]
    features = FeatureCache(encoder, datamodule, "cpu", tmp_path)("val")
    assert torch.equal(features.labels, datamodule.split("val").labels)


def test_what_a_killed_job_has_left_is_not_taken_for_features(encoder, datamodule, tmp_path):
    folder = tmp_path / key(encoder, datamodule, "val")
    folder.mkdir()
    (folder / ".patches-3.npy.0123456789ab.tmp").write_bytes(b"half")
    features = FeatureCache(encoder, datamodule, "cpu", tmp_path)("val")
    assert features.patches[3].isfinite().all()
    assert not list(folder.glob(".*.tmp"))


def test_jobs_that_start_together_extract_once(encoder, datamodule, tmp_path, passes):
    caches = [FeatureCache(encoder, datamodule, "cpu", tmp_path) for _ in range(3)]
    found, threads = [], []
    for cache in caches:
        threads.append(threading.Thread(target=lambda cache=cache: found.append(cache("val"))))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert passes == ["val"]
    assert all(torch.equal(found[0].patches[3], features.patches[3]) for features in found)


def test_what_was_not_used_for_longest_makes_room(encoder, datamodule, tmp_path, passes):
    size = 4 * 32 * 48 + 8 * 48 + 256  # one depth of train with labels and headers
    names = [{"patches-3"}, {"patches-2"}]
    limit = 2.2 * size / 2**30

    def ask(split, wanted):
        return FeatureCache(encoder, datamodule, "cpu", tmp_path, wanted, limit)(split)

    held = ask("train", names[0])
    kept = held.patches[3].clone()
    (first,) = entries(tmp_path)
    ask("val", names[0])
    for entry, age in ((first, 1), (next(e for e in entries(tmp_path) if e != first), 2)):
        os.utime(tmp_path / entry, (age, age))
    ask("test", {"patches-3", "token-3", "patches-2"})
    assert first not in entries(tmp_path)  # the oldest went
    assert len(entries(tmp_path)) == 2
    assert torch.equal(held.patches[3], kept)  # whoever has mapped it keeps it
    ask("train", names[0])
    assert passes.count("train") == 2


def test_features_beyond_the_limit_are_refused_before_the_encoder_runs(encoder, datamodule, tmp_path, passes):
    with pytest.raises(UserError, match=r"more than available.*paths.cache_gib"):
        FeatureCache(encoder, datamodule, "cpu", tmp_path, max_gib=1e-6)("train")
    assert passes == []
    assert not [path for path in tmp_path.rglob("*.npy*")]


def test_two_protocols_of_one_label_are_refused(encoder, datamodule):
    with pytest.raises(ValueError, match="Two protocols have the label knn-v1"):
        run_protocols([KNN(), KNN()], encoder, datamodule)


def test_other_parameters_make_another_label(encoder, datamodule):
    results = run_protocols([KNN(), KNN(ks=[1])], encoder, datamodule)
    assert list(results) == ["knn-v1", "knn-v1+ks=1"]
    assert results["knn-v1+ks=1"]["deviations"] == {"ks": [1]}
    assert "deviations" not in results["knn-v1"]

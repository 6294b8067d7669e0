"""Values per test image are stored beside a result, not in it."""

from pathlib import Path

import numpy as np

from mimbench.runs import correctness


def test_values_per_image_move_from_the_result_to_their_own_file(tmp_path: Path):
    result = {"accuracy": 0.5, "correct": [True, False], "num_test": 2}
    assert correctness.move_to_file(tmp_path, "linear-v1@drop2", result) == {"accuracy": 0.5, "num_test": 2}
    assert (tmp_path / "evaluation" / "linear-v1@drop2.npz").is_file()
    np.testing.assert_array_equal(correctness.read(tmp_path, "linear-v1@drop2"), [True, False])


def test_a_result_without_values_per_image_writes_no_file(tmp_path: Path):
    assert correctness.move_to_file(tmp_path, "knn-v1", {"accuracy": 0.5}) == {"accuracy": 0.5}
    assert list(tmp_path.iterdir()) == []


def test_unreadable_files_are_none(tmp_path: Path):
    assert correctness.read(tmp_path, "knn-v1") is None
    correctness.write(tmp_path, "knn-v1", [True] * 100)
    path = tmp_path / "evaluation" / "knn-v1.npz"
    content = path.read_bytes()
    for damaged in (content[:50], b"", content[:60] + bytes(20) + content[80:]):
        path.write_bytes(damaged)
        assert correctness.read(tmp_path, "knn-v1") is None


def test_ten_thousand_values_take_a_few_kilobytes(tmp_path: Path):
    correctness.write(tmp_path, "knn-v1", (np.random.default_rng(0).random(10_000) < 0.7).tolist())
    assert (tmp_path / "evaluation" / "knn-v1.npz").stat().st_size < 4000

"""What the slots of a local sweep are given."""

import pytest

from mimbench.cli.local import _environments


def test_every_slot_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert _environments(None, 1) == [{"CUDA_VISIBLE_DEVICES": "2"}, {"CUDA_VISIBLE_DEVICES": "5"}]


def test_runs_on_several_devices_share_the_gpus_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3,4")
    assert _environments(None, 2) == [{"CUDA_VISIBLE_DEVICES": "0,1"}, {"CUDA_VISIBLE_DEVICES": "2,3"}]


def test_more_slots_than_gpus_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert _environments(2, 1) == [{"CUDA_VISIBLE_DEVICES": "0"}] * 2


def test_slots_without_gpus_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert _environments(4, 1) == [{"OMP_NUM_THREADS": "2"}] * 4
    assert _environments(None, 1) == [{"OMP_NUM_THREADS": "8"}]

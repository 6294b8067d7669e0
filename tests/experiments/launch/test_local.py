"""Devices of the slots of a local sweep, and the start of its runs."""

from contextlib import nullcontext

import pytest

from mimbench.core.errors import UserError
from mimbench.experiments.launch.local import LocalBackend, _environments
from mimbench.experiments.launch.pool import start_process


def test_every_slot_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_slots_per_gpu_assigns_the_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert [each["CUDA_VISIBLE_DEVICES"] for each in _environments(None, 1, 2)] == ["0", "1", "0", "1"]
    assert [each["CUDA_VISIBLE_DEVICES"] for each in _environments(None, 2, 3)] == ["0,1"] * 3


def test_slots_per_gpu_is_ignored_without_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert len(_environments(None, 1, 4)) == 1


@pytest.mark.parametrize("options", [{"slots": 0}, {"slots_per_gpu": 0}])
def test_an_invalid_number_of_slots_is_rejected(options: dict) -> None:
    with pytest.raises(UserError, match=r"hydra\.launcher\.slots.* must be a whole number of at least 1"):
        LocalBackend(**options).check([], trials=False)


def test_slots_and_slots_per_gpu_together_are_rejected() -> None:
    with pytest.raises(UserError, match="give slots or slots_per_gpu"):
        LocalBackend(slots=2, slots_per_gpu=2).check([], trials=False)


def test_an_invalid_value_of_fork_is_rejected() -> None:
    backend = LocalBackend()
    backend.fork = "maybe"  # Hydra does not check types
    with pytest.raises(UserError, match=r"hydra\.launcher\.fork is 'maybe'; it must be true, false or null"):
        backend.check([], trials=False)


@pytest.mark.parametrize(
    ("fork", "jobs", "variables", "forked"),
    [
        (None, 2, {"OMP_NUM_THREADS": "1"}, True),
        (None, 2, {"CUDA_VISIBLE_DEVICES": "0"}, False),
        (True, 2, {"CUDA_VISIBLE_DEVICES": "0"}, True),
        (False, 2, {"OMP_NUM_THREADS": "1"}, False),
        (None, 1, {"OMP_NUM_THREADS": "1"}, False),  # one run alone gains nothing
    ],
)
def test_several_runs_are_forked_without_gpus_or_if_requested(
    fork: bool | None, jobs: int, variables: dict[str, str], forked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers: list[dict[str, str]] = []

    def server(warm_up: str, variables: dict[str, str]) -> nullcontext:
        servers.append(variables)
        return nullcontext(start_process)

    monkeypatch.setattr("mimbench.experiments.launch.local.fork_server", server)
    with LocalBackend(fork=fork)._start(jobs, variables):
        assert servers == ([variables] if forked else [])

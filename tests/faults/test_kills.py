"""kill -9: what is lost are at most the steps since the last checkpoint, and they are done again, once."""

import random
import signal
import time
from collections.abc import Callable
from typing import Any

import processes
import pytest
from signalling import INTERRUPTED, Fault

from mimbench.runs.directory import LAST, PREVIOUS

Make = Callable[..., Any]
KILL = signal.SIGKILL

SAVING = [
    pytest.param(Fault("torch:save", 2, KILL), [LAST], id="before the second checkpoint is written"),
    pytest.param(Fault("pathlib:Path.replace", 2, KILL, argument=LAST), [LAST], id="written, but not named"),
    pytest.param(Fault("pathlib:Path.replace", 3, KILL, argument=LAST), [PREVIOUS], id="between the two renames"),
    pytest.param(
        Fault("mimbench.core.files:_sync_directory", 2, KILL, argument="checkpoints"), [LAST, PREVIOUS], id="just named"
    ),
]


@pytest.mark.parametrize(("fault", "left"), SAVING)
def test_killed_while_saving_a_whole_checkpoint_is_left(new_trial: Make, fault: Fault, left: list[str]) -> None:
    whole, parts = (new_trial(name, epochs=3) for name in ("whole", "parts"))
    assert whole.run() == [0]
    assert parts.run(fault) == [-KILL]
    files = {path.name for path in (parts.directory / "checkpoints").glob("*.ckpt")}
    assert files == set(left)
    before = parts.batches
    assert parts.run() == [0]
    assert parts.same(whole)
    assert parts.batches - before < 9  # it did not start afresh


@pytest.mark.faults
@pytest.mark.parametrize("num_workers", [0, 2])
def test_killed_twenty_times_at_random_moments_the_run_ends_the_same(new_trial: Make, num_workers: int) -> None:
    draws, kills = random.Random(num_workers), 20
    whole, parts = (new_trial(name, epochs=50, num_workers=num_workers) for name in ("whole", "parts"))
    assert whole.run() == [0]
    for _ in range(kills):
        begin = parts.batches
        with processes.started(parts.target(), parts.log) as process:
            # Any moment of a step, a validation or a checkpoint; of the start-up too, when no batch is waited for.
            batches = draws.randrange(8)
            processes.wait_for(lambda: parts.batches >= begin + batches, process, parts.log)  # noqa: B023
            time.sleep(draws.uniform(0, 0.05))
            process.kill()
            assert processes.ended(process, parts.log) == -KILL
    assert parts.run() == [0]
    assert parts.batches > whole.batches  # work was lost and done again
    assert parts.same(whole)
    steps = [row.split(",")[:2] for row in parts.rows[1:]]
    assert len({tuple(step) for step in steps}) == len(steps)


@pytest.mark.faults
def test_killed_ranks_go_on_exactly(new_trial: Make) -> None:
    whole, parts = (new_trial(name, ranks=2, epochs=4) for name in ("whole", "parts"))
    assert whole.run() == [0, 0]
    for rank, batch in ((0, 4), (1, 3), (1, 5)):
        statuses = parts.run(Fault("on_train_batch_end", batch, KILL, rank=rank))
        assert statuses[rank] == -KILL
        assert statuses[1 - rank] not in (0, INTERRUPTED)  # the other one notices and fails
    assert parts.run() == [0, 0]
    assert parts.same(whole)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ranks", [1, 2])
def test_any_sequence_of_signals_leaves_no_trace(new_trial: Make, ranks: int, seed: int) -> None:
    draws = random.Random(10 * ranks + seed)
    options: dict[str, Any] = draws.choice([{"epochs": 4}, {"steps": 11}, {"epochs": 4, "ema": 0.9}])
    options |= {"num_workers": draws.choice([0, 2]), "checkpoint_every_n_epochs": draws.choice([1, 2])}
    options |= {"trainer_options": {"accumulate_grad_batches": draws.choice([1, 2, 4])}}
    whole, parts = (new_trial(name, ranks=ranks, **options) for name in ("whole", "parts"))
    assert whole.run() == [0] * ranks
    for _ in range(3):
        hook, most = draws.choice([("on_train_batch_start", 7), ("on_train_batch_end", 7), ("on_train_epoch_end", 2)])
        number = draws.choice([signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2])
        fault = Fault(hook, draws.randint(1, most), number, draws.randrange(ranks))
        statuses = parts.run(fault)
        assert set(statuses) <= {0, INTERRUPTED}, fault
        if 0 in statuses:
            break
    assert parts.run() == [0] * ranks
    assert parts.same(whole), (options, seed)

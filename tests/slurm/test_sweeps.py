"""Sweeps on a real SLURM: complete, disturbed, detached."""

import json
from pathlib import Path

from slurm.user import User, on_slurm, record, rows, wait_until

CONF = Path(__file__).parents[2] / "conf"


def job(run: Path) -> str:
    return json.loads((run / "slurm.json").read_text())["job"]


def steps(run: Path) -> int:
    """Steps done so far."""
    log = run / "log.txt"
    said = (
        [line.split()[1] for line in log.read_text().splitlines() if line.startswith("step ")] if log.exists() else []
    )
    return int(said[-1].split("/")[0]) if said else 0


def test_a_sweep_of_eight_cells_completes(user: User) -> None:
    grid = ("encoder.depth=2,4", "seed=0,1,2,3", "budget.epochs=1")
    output = user.sweep("eight", *grid)
    assert [record(run)["status"] for run in user.runs("eight")] == ["finished"] * 8
    assert output.count("done  ") == 8
    assert {job(run).split("_")[0] for run in user.runs("eight")} == {job(user.runs("eight")[0]).split("_")[0]}
    assert "8 of 8 runs have finished before" in user.sweep("eight", *grid)


def shorten(user: User, run: Path) -> None:
    """Gives a running job a limit that is more than half a minute away, when SLURM tells it to stop."""
    shown = user.cluster.command("squeue", "--noheader", f"--jobs={job(run)}", "--format=%M")
    minutes, seconds = (int(part) for part in shown.strip().split(":"))
    limit = (minutes * 60 + seconds + 35) // 60 + 1
    user.cluster.command("scontrol", "update", f"JobId={job(run)}", f"TimeLimit={limit}")


def test_canceled_requeued_and_timed_out_jobs_end_as_undisturbed_ones(user: User) -> None:
    grid = ("seed=0,1,2", "budget=steps", "budget.steps=200", "optim.batch_size=32")
    go = user.home / "go"
    slow = f"+callbacks.pause={{_target_:hooks.Pause,until:{go}}}"
    options = ("hydra.launcher.time=60", "hydra.launcher.stop_seconds=10", "hydra.launcher.parallel=3")
    watching = user.start("run", *on_slurm("disturbed", *grid, slow, *options))
    wait_until(lambda: len(user.runs("disturbed")) == 3 and all(steps(run) > 2 for run in user.runs("disturbed")))
    canceled, requeued, limited = user.runs("disturbed")
    user.cluster.command("scancel", job(canceled))
    user.cluster.command("scontrol", "requeue", job(requeued))
    shorten(user, limited)
    wait_until(lambda: "is requeued and will continue from here" in (limited / "log.txt").read_text())
    wait_until(lambda: (requeued / "log.txt").read_text().count("Stopped by SIGTERM") == 1)
    go.touch()
    output = user.end(watching, status=1)
    assert f"Job {job(canceled)} ended as CANCELLED" in output
    assert output.count("done  ") == 2
    assert record(canceled)["status"] == "interrupted"
    assert record(limited)["status"] == record(requeued)["status"] == "finished"

    user.sweep("disturbed", *grid, slow)
    user.sweep("undisturbed", *grid)
    for run, reference in zip(user.runs("disturbed"), user.runs("undisturbed"), strict=True):
        assert run.name == reference.name
        assert record(run)["status"] == "finished"
        assert (run / "encoder.safetensors").read_bytes() == (reference / "encoder.safetensors").read_bytes()
        assert rows(run) == rows(reference)
        assert record(run)["metrics"]["knn-v1"] == record(reference)["metrics"]["knn-v1"]


def test_detached_sweep_is_watched_by_status_and_mended_by_retry(user: User) -> None:
    broken = "+callbacks.broken={_target_:hooks.FailOnce,mark:" + str(user.home / "mark") + "}"
    output = user.sweep("detached", "seed=0,1", "budget.epochs=1", broken, "hydra.launcher.detach=true")
    assert "2 runs submitted" in output
    assert "scancel" in output
    assert sum("queued" in line or "running" in line for line in user.call("status", "runs/detached").splitlines()) >= 2
    wait_until(lambda: not user.cluster.command("squeue", "-h"))
    states = [record(run)["status"] for run in user.runs("detached")]
    assert sorted(states) == ["failed", "finished"]
    assert "broken on purpose" in user.call("status", "runs/detached")
    numbers = {run.name: job(run) for run in user.runs("detached")}
    user.call("retry", "--use-stored-code", "runs/detached", "hydra.launcher.detach=false")
    assert [record(run)["status"] for run in user.runs("detached")] == ["finished", "finished"]
    again = [name for name, number in numbers.items() if job(user.home / "runs" / "detached" / name) != number]
    assert len(again) == 1


def test_two_identical_sweeps_of_an_own_method_share_the_work(user: User) -> None:
    own = user.home / "conf" / "method" / "mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text((CONF / "method" / "mae.yaml").read_text().replace("name: mae", "name: mine"))
    words = (f"--config-dir={user.home / 'conf'}", *on_slurm("twice", "seed=0,1", "budget.epochs=1", "method=mine"))
    for sweep in [user.start("run", *words) for _ in range(2)]:
        output = user.end(sweep)
        assert "FAILED" not in output
    for run in user.runs("twice"):
        assert record(run)["status"] == "finished"
        assert record(run)["axes"]["method"] == "mine"
        assert (run / "log.txt").read_text().count("step 1/") == 1  # none was trained twice
    assert len(user.runs("twice")) == 2
    assert "mine" in user.call("plan", "-m", *words)

"""A user of the cluster, and what she looks at."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from slurm.cluster import Cluster

# Seconds of one core each: digits, a narrow ViT.
TINY = (
    *("data=digits", "encoder.width=32", "method.dim=32", "method.num_blocks=1", "method.num_heads=4"),
    *("callbacks.knn=null", "callbacks.reconstructions=null", "protocol=[knn]", "trainer.accelerator=cpu"),
)


@dataclass
class User:
    """Calls `mimbench` in a directory of her own."""

    cluster: Cluster
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        here = str(Path(__file__).parent)
        path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
        return os.environ | self.cluster.environment | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "mimbench", *words]
        pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=self.home, env=self.environment, **pipe)  # pyright: ignore

    def call(self, *words: str, status: int = 0, timeout: float = 600.0) -> str:
        """Output of a command that must end with a status."""
        return self.end(self.start(*words), status, timeout)

    def end(self, process: subprocess.Popen[str], status: int = 0, timeout: float = 600.0) -> str:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            pytest.fail(f"still running after {timeout:.0f} s:\n{output}\n{self.logs()}")
        assert process.returncode == status, f"status {process.returncode}\n{output}\n{self.logs()}"
        return output

    def sweep(self, name: str, *words: str, status: int = 0, timeout: float = 600.0) -> str:
        return self.call("run", *on_slurm(name, *words), status=status, timeout=timeout)

    def runs(self, sweep: str) -> list[Path]:
        """Run directories in the order of their names, which is that of their seeds."""
        return sorted(path.parent for path in (self.home / "runs" / sweep).glob("*/config.yaml"))

    def logs(self) -> str:
        tails = [f"{log}:\n{log.read_text()[-1500:]}" for log in self.home.rglob("*log*") if log.is_file()]
        return "\n".join(tails) + "\n" + self.cluster.command("squeue", "--states=all")


def on_slurm(name: str, *words: str) -> list[str]:
    """Words of a sweep; two jobs at a time, since there are two cores."""
    return ["-m", "hydra/launcher=slurm", "hydra.launcher.parallel=2", *TINY, f"sweep={name}", *words]


def record(run: Path) -> dict[str, Any]:
    return json.loads((run / "record.json").read_text())


def rows(run: Path) -> list[str]:
    """All that was logged, without what depends on the clock."""
    return [row for row in (run / "metrics.csv").read_text().splitlines() if ",throughput," not in row]


def wait_until(condition: Callable[[], Any], seconds: float = 400.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s"
        time.sleep(0.5)

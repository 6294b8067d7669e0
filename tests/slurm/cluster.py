"""A two-node SLURM on this machine: root, Debian's packages, neither systemd nor cgroups.

By hand, in the foreground until Ctrl-C:  python tests/slurm/cluster.py DIRECTORY
"""

import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo")
PACKAGES = "slurmctld slurmd slurm-client munge"

# Two nodes that are this machine. A short life of credentials makes a requeued job start after seconds, not minutes.
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={directory}/munge.socket,cred_expire=3
CryptoType=crypto/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
ReturnToService=2
JobRequeue=1
KillWait=8
MinJobAge=300
StateSaveLocation={directory}/state
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd.%n.pid
SlurmdSpoolDir={directory}/spool.%n
SlurmdParameters=config_overrides
NodeName={host} NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs=4 RealMemory=4000 State=UNKNOWN
NodeName=localhost NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=4 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes={host},localhost Default=YES MaxTime=INFINITE State=UP
"""


def impossible() -> str | None:
    """Why this machine cannot have such a cluster, or None."""
    missing = [name for name in NEEDED if _which(name) is None]
    if missing:
        return f"{', '.join(missing)} not found; apt-get install -y --no-install-recommends {PACKAGES}"
    if os.geteuid() != 0:
        return "a SLURM of one's own needs root"
    try:
        socket.gethostbyname(_host())
    except OSError:
        return f"the name of this machine, {_host()}, does not resolve; DDP needs it (add it to /etc/hosts)"
    return None


class Cluster:
    """Starts the daemons, each as a child process, and stops them in the end.

    Attributes:
        environment: Variables by which SLURM's commands find it.
    """

    def __init__(self, directory: Path):
        self.directory = directory
        self.environment = {"SLURM_CONF": str(directory / "slurm.conf")}
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Cluster":
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        host, directory = _host(), self.directory
        (directory / "state").mkdir(parents=True)
        key = directory / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        port, first, second = _free_ports(3)
        text = CONFIGURATION.format(host=host, directory=directory, port=port, first=first, second=second)
        (directory / "slurm.conf").write_text(text)
        own = [f"--{name}-file={directory}/munge.{name}" for name in ("key", "pid", "seed", "log")]
        self._daemon("munged", "--foreground", "--force", f"--socket={directory}/munge.socket", *own)
        _wait_for(lambda: (directory / "munge.socket").exists(), "munged", directory)
        self._daemon("slurmctld", "-D", "-f", self.environment["SLURM_CONF"])
        for node in (host, "localhost"):
            (directory / f"spool.{node}").mkdir()
            self._daemon("slurmd", "-D", "-N", node, "-f", self.environment["SLURM_CONF"])
        _wait_for(lambda: self.command("sinfo", "-h", "-N", "-t", "idle").count("\n") == 2, "nodes", directory)

    def __exit__(self, *_: object) -> None:
        if len(self._daemons) > 1:
            self.command("scancel", "--user=root")
            deadline = time.monotonic() + 15
            while self.command("squeue", "-h") and time.monotonic() < deadline:
                time.sleep(0.3)
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def command(self, *words: str) -> str:
        """Output of one of SLURM's commands; empty when it fails."""
        environment = os.environ | self.environment
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=False).stdout

    def _daemon(self, name: str, *words: str) -> None:
        program = _which(name)
        assert program is not None
        with (self.directory / f"{name}.{len(self._daemons)}.out").open("wb") as log:
            command = [program, *words]
            environment = os.environ | self.environment
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, start_new_session=True, preexec_fn=_end_with_parent
            )
        self._daemons.append(process)


def _end_with_parent() -> None:
    """Has Linux send SIGTERM to a daemon whose starter was killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _host() -> str:
    return socket.gethostname().split(".")[0]


def _which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _free_ports(number: int) -> list[int]:
    taken = [socket.socket() for _ in range(number)]
    for each in taken:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return ports


def _wait_for(condition: object, what: str, directory: Path, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # pyright: ignore[reportCallIssue]
        if time.monotonic() > deadline:
            logs = "\n".join(f"{p.name}: {p.read_text()[-1000:]}" for p in sorted(directory.glob("*.out")))
            raise RuntimeError(f"SLURM's {what} did not come up in {seconds:.0f} s.\n{logs}")
        time.sleep(0.1)


if __name__ == "__main__":
    if reason := impossible():
        sys.exit(reason)
    with Cluster(Path(sys.argv[1]).resolve()) as cluster:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        print(f"export SLURM_CONF={cluster.environment['SLURM_CONF']}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()

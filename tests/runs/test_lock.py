"""The lock of a run and the file that names its holder."""

import fcntl
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mimbench.core.errors import UserError
from mimbench.runs.lock import Holder, holder, locked


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def write_holder(directory: Path, **changes: object) -> None:
    facts = {"host": platform.node(), "pid": os.getpid(), "since": "2026-01-01T00:00:00+00:00"}
    (directory / ".holder.json").write_text(json.dumps(facts | changes))


def test_the_holder_is_named_only_while_it_holds_the_lock(tmp_path: Path) -> None:
    with locked(tmp_path):
        other = holder(tmp_path)
        assert other is not None
        assert (other.host, other.pid, other.dead) == (platform.node(), os.getpid(), False)
    assert holder(tmp_path) is None
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    assert holder(tmp_path) is None


def test_a_second_process_is_rejected_with_the_name_of_the_holder(tmp_path: Path) -> None:
    message = rf"process {os.getpid()} on {platform.node()}, since 20"
    with locked(tmp_path), pytest.raises(UserError, match=message), locked(tmp_path):
        pass
    with locked(tmp_path):
        assert holder(tmp_path) is not None


def test_the_file_of_a_dead_holder_does_not_block(tmp_path: Path) -> None:
    write_holder(tmp_path, pid=dead_process())
    with locked(tmp_path):
        other = holder(tmp_path)
        assert other is not None
        assert other.pid == os.getpid()


def test_a_lock_held_by_children_of_a_dead_process_is_waited_for(tmp_path: Path) -> None:
    write_holder(tmp_path, pid=dead_process())
    child = f"import fcntl, time; f = open({str(tmp_path / '.lock')!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX); "
    with subprocess.Popen([sys.executable, "-c", child + "print(1, flush=True); time.sleep(2)"], stdout=-1) as orphan:
        assert orphan.stdout is not None
        orphan.stdout.readline()
        begin = time.monotonic()
        with locked(tmp_path):
            assert time.monotonic() - begin > 1.2


def test_processes_of_other_hosts_do_not_count_as_dead() -> None:
    assert Holder(platform.node(), dead_process(), "").dead
    assert not Holder("another host", dead_process(), "").dead
    assert not Holder(platform.node(), 1, "").dead


@pytest.mark.parametrize("content", ["", "{", '{"pid": 3}', "[]"])
def test_an_unreadable_holder_file_names_no_process(tmp_path: Path, content: str) -> None:
    (tmp_path / ".holder.json").write_text(content)
    (tmp_path / ".lock").touch()
    with (tmp_path / ".lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="Another process is working"), locked(tmp_path):
            pass

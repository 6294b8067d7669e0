"""Files are replaced completely or not at all."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from mimbench.core.files import remove_partial, replacing, write_atomic


def test_a_failed_write_keeps_the_former_content_and_leaves_nothing_behind(tmp_path: Path):
    path = tmp_path / "file"
    write_atomic(path, "former")
    with pytest.raises(ZeroDivisionError), replacing(path) as stream:
        stream.write(b"half%d" % (1 // 0))
    assert path.read_text() == "former"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_an_error_with_the_name_of_the_file(tmp_path: Path):
    def full() -> None:
        with replacing(tmp_path / "a.txt"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.*a\.txt'"):
        full()
    assert not list(tmp_path.iterdir())


def test_the_former_file_is_kept_under_the_given_name(tmp_path: Path):
    path, former = tmp_path / "last", tmp_path / "previous"
    for number in range(3):
        with replacing(path, former=former) as stream:
            stream.write(b"%d" % number)
    assert (former.read_bytes(), path.read_bytes()) == (b"1", b"2")


def test_a_symbolic_link_is_replaced_and_never_written_through(tmp_path: Path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("untouched")
    link.symlink_to(target)
    write_atomic(link, "new")
    assert (target.read_text(), link.read_text(), link.is_symlink()) == ("untouched", "new", False)


def test_existing_links_under_the_temporary_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    target = tmp_path / "target"
    target.write_text("untouched")
    monkeypatch.setattr("secrets.token_hex", lambda n: "0" * 2 * n)
    (tmp_path / ".file.000000000000.tmp").symlink_to(target)
    with pytest.raises(FileExistsError):
        write_atomic(tmp_path / "file", "new")
    assert target.read_text() == "untouched"


def test_concurrent_writers_leave_one_whole_file(tmp_path: Path):
    path, contents = tmp_path / "file", [bytes([number]) * 100_000 for number in range(8)]
    threads = [threading.Thread(target=write_atomic, args=(path, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_follow_the_umask(tmp_path: Path):
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "file", "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_leftovers_of_killed_writers_are_removed_and_other_files_stay(tmp_path: Path):
    (tmp_path / ".file.0123456789ab.tmp").write_bytes(b"half")
    (tmp_path / ".other.0123456789ab.tmp").write_bytes(b"half")
    remove_partial(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == [".other.0123456789ab.tmp"]

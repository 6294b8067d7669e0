"""Compiling block by block."""

from pathlib import Path

import compiled_trunk
import processes


def test_a_deep_trunk_is_compiled_once_and_computes_the_same(tmp_path: Path) -> None:
    # In a process of its own, since Dynamo cannot read the shape checks that pytest puts into every function.
    log = tmp_path / "log"
    assert processes.run(compiled_trunk.compare, log) == 0, log.read_text()

"""Compilation of single blocks."""

from pathlib import Path

import compiled_trunk
import processes


def test_a_deep_trunk_is_compiled_once_and_computes_the_same(tmp_path: Path) -> None:
    # In a separate process, since Dynamo cannot trace the shape checks that the tests add to every function.
    log = tmp_path / "log"
    assert processes.run(compiled_trunk.compare, log) == 0, log.read_text()

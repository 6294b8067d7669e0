"""A plan counts equal blocks once; the sum is that of all blocks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mimbench.experiments.benchmarks import training_configs
from mimbench.experiments.build import build_on_meta
from mimbench.training import cost

METHODS = "mae,deepmim,localmim,mirl,simmim,mff,crossmae,ijepa,maskfeat"


@contextmanager
def every_block(*_: Any) -> Iterator[list[int]]:
    yield []


def test_skipping_equal_blocks_changes_no_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    configs = training_configs(["experiment=fashion", f"method={METHODS}", "method.num_blocks=2"])
    methods = [build_on_meta(config)[1] for config in configs]
    skipped = [cost.measure_cost(method, 32) for method in methods if method]
    monkeypatch.setattr(cost, "_equal_blocks_once", every_block)
    assert skipped == [cost.measure_cost(method, 32) for method in methods if method]
    assert len(skipped) == 9

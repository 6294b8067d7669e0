"""From all pairs follows the leader of any part of the methods."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mimbench.reporting.collect import collect
from mimbench.reporting.comparisons import compare
from mimbench.reporting.pairs import rankings
from mimbench.reporting.summary import num_comparisons, summarize

MakeRun = Callable[..., Path]
METHODS = ("untrained", "mae", "mirl", "deepmim", "localmim")


@pytest.fixture
def sweep(make_run: MakeRun) -> Path:
    rng = np.random.default_rng(0)
    for data in ("photos", "digits"):
        for number, method in enumerate(METHODS):
            for seed in range(3):
                right = {"knn-v1": (rng.random(400) < 0.3 + 0.1 * number).tolist()}
                knn = sum(right["knn-v1"]) / 400
                directory = make_run(method, seed, data=data, knn=knn, linear=0.5, num_test=400, correct=right)
    return directory.parent


def test_rankings_have_the_settings_protocols_and_leaders_of_the_comparisons(sweep: Path) -> None:
    summaries = summarize(collect(sweep))
    pairs = list(zip(rankings(summaries), compare(summaries), strict=True))
    assert len(pairs) == 4
    for ranking, comparison in pairs:
        assert ranking.protocol == comparison.protocol
        assert summaries[ranking.order[0]] is comparison.leader
        assert len(ranking.differences) == 6
        leads = [gain for (first, _), gain in ranking.differences.items() if first == ranking.order[0]]
        lead = min(leads, key=lambda gain: gain.mean)
        assert comparison.lead is not None
        assert (lead.mean, lead.verdict) == (comparison.lead.mean, comparison.lead.verdict)


def test_the_next_methods_are_compared_as_if_the_leader_had_not_run(sweep: Path) -> None:
    summaries = summarize(collect(sweep))
    kept = {summary.condition for summary in summaries if summary.condition.method != "localmim"}
    for run in sweep.glob("localmim-*"):
        (run / "record.json").unlink()
    alone = compare(summarize(collect(sweep)))
    for ranking, comparison in zip(rankings(summaries), alone, strict=True):
        order = [row for row in ranking.order if summaries[row].condition in kept]
        lead = ranking.differences[order[0], order[1]]
        assert summaries[order[0]].condition == comparison.leader.condition
        assert comparison.lead is not None
        assert lead.mean == pytest.approx(comparison.lead.mean)
        assert lead.p == pytest.approx(comparison.lead.p)
        assert lead.adjusted == pytest.approx(min(1, lead.p * num_comparisons(summaries)))

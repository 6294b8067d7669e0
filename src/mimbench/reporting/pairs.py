"""Comparisons of all pairs of methods, from which the page finds the leader of those that its filters show."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, groupby

from mimbench.reporting import statistics
from mimbench.reporting.runs import UNTRAINED
from mimbench.reporting.statistics import Difference
from mimbench.reporting.summary import Summary, num_comparisons, protocols


@dataclass(frozen=True)
class Ranking:
    """The trained conditions of one setting under one protocol.

    order: Their positions in the table, by descending mean over the seeds that all share; if they share none, over all.
    differences: By two positions in this order, first minus second, for the pairs that can be compared.
    """

    protocol: str
    order: tuple[int, ...]
    differences: dict[tuple[int, int], Difference]


def rankings(summaries: list[Summary]) -> list[Ranking]:
    """One ranking per setting and protocol.

    Pairs with the leader have the p-values of the table. The others have Bonferroni's correction, whose p-values are
    never below Holm's: together at most 5 % of tables contain a false positive.
    """
    count = num_comparisons(summaries)
    positions = {summary.condition: number for number, summary in enumerate(summaries)}
    found = []
    for _, group in groupby(summaries, key=lambda summary: summary.condition.setting):
        trained = [summary for summary in group if summary.condition.method != UNTRAINED]
        for protocol in protocols(trained):
            ranked = _rank([summary for summary in trained if protocol in summary.estimates], protocol)
            differences = {
                (positions[first.condition], positions[second.condition]): difference
                for first, second, difference in _differences(ranked, protocol, count)
            }
            order = tuple(positions[summary.condition] for summary in ranked)
            found.append(Ranking(protocol, order, differences))
    return [ranking for ranking in found if ranking.order]


def _rank(summaries: list[Summary], protocol: str) -> list[Summary]:
    """The leader of the table first, for the same reason: the mean over the shared seeds."""
    accuracies = {summary.condition: summary.samples[protocol].accuracies for summary in summaries}
    shared = set.intersection(*map(set, accuracies.values())) if accuracies else set()

    def mean(summary: Summary) -> float:
        own = accuracies[summary.condition]
        return statistics.mean(own[seed] for seed in shared or own)

    return sorted(summaries, key=lambda summary: (protocol not in summary.leads, -mean(summary)))


def _differences(ranked: list[Summary], protocol: str, count: int) -> Iterator[tuple[Summary, Summary, Difference]]:
    for first, second in combinations(ranked, 2):
        if protocol in first.leads:
            behind = second.behind.get(protocol)
            difference = behind.reversed if behind else None
        else:
            samples = (summary.samples[protocol] for summary in (first, second))
            difference = statistics.difference(*samples, by_image_interval=False)
            if difference is not None:
                difference = difference._replace(adjusted=min(1.0, count * difference.p))
        if difference is not None:
            yield first, second, difference

"""Whether the results of an ablation have the order of the published ones."""

import math
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from mimbench.reporting.image_intervals import CONFIDENCE
from mimbench.reporting.protocol_names import parse, titles
from mimbench.reporting.published import Published
from mimbench.reporting.runs import Setting
from mimbench.reporting.summary import Summary

METHOD = (
    "The order of the rows of an ablation is compared with the published order by Spearman's rank correlation of the "
    "means over seeds: 1 is the same order, -1 the reverse. Its 95 % interval covers the uncertainty over seeds "
    "(percentiles of 2,000 draws of each mean from Student's t), not the choice of rows. Papers measured other data "
    "and encoders, so another order need not be an error."
)
_FEWEST_ROWS = 3
_DRAWS = 2000


class Agreement(NamedTuple):
    """Rank correlation of our results with one published column in one setting.

    rho, low, high: Spearman's rho of the means and its 95 % interval, which is NaN unless every row has several seeds.
    num_rows: Rows with a result and a published number.
    num_seeds: Fewest seeds of a row.
    """

    source: str
    setting: Setting
    protocol: str
    rho: float
    low: float
    high: float
    num_rows: int
    num_seeds: int

    @property
    def text(self) -> str:
        """`MAE, figure 5 (mask ratio), linear (photos · vit_micro · depth 4): rho +0.87 [+0.65, +0.95], ...`"""
        interval = "" if math.isnan(self.low) else f" [{self.low:+.2f}, {self.high:+.2f}]"
        seeds = f"{self.num_seeds} seed{'s' * (self.num_seeds != 1)}"
        what = f"{self.source}, {self.protocol} ({self.setting})"
        return f"{what}: rho {self.rho:+.2f}{interval}, {self.num_rows} rows, {seeds}."


def agreements(summaries: list[Summary]) -> list[Agreement]:
    """One per setting, published table and protocol that both have, with at least three rows that are not all equal."""
    found = []
    for setting, group in groupby(summaries, key=lambda summary: summary.condition.setting):
        rows = list(group)
        names = titles(name for row in rows for name in row.samples)
        for source in dict.fromkeys(
            published.source for row in rows for published in row.published if published.ablation
        ):
            for name, title in names.items():
                if (agreement := _agreement(setting, rows, source, name, title)) is not None:
                    found.append(agreement)
    return found


def _agreement(setting: Setting, rows: list[Summary], source: str, name: str, title: str) -> Agreement | None:
    family = parse(name).family
    pairs = [
        (np.array(list(row.samples[name].accuracies.values())), number)
        for row in rows
        if name in row.samples
        and row.samples[name].accuracies
        and (number := _number(row.published, source, family)) is not None
    ]
    if len(pairs) < _FEWEST_ROWS:
        return None
    values, published = [own for own, _ in pairs], np.array([number for _, number in pairs])
    means = np.array([own.mean() for own in values])
    rho = _rho(means, published)
    if math.isnan(rho):
        return None
    low, high = _interval(values, means, published)
    return Agreement(source, setting, title, rho, low, high, len(pairs), min(map(len, values)))


def _number(published: tuple[Published, ...], source: str, family: str) -> float | None:
    numbers = [row.percent[family] for row in published if row.source == source and family in row.percent]
    return numbers[0] if len(numbers) == 1 else None


def _rho(ours: Float[np.ndarray, " n"], published: Float[np.ndarray, " n"]) -> float:
    """NaN if all values of a side are equal."""
    if np.ptp(ours) == 0 or np.ptp(published) == 0:
        return math.nan
    result: Any = stats.spearmanr(ours, published)
    return float(result.statistic)


def _interval(
    values: list[Float[np.ndarray, " seeds"]], means: Float[np.ndarray, " n"], published: Float[np.ndarray, " n"]
) -> tuple[float, float]:
    if min(map(len, values)) < 2:
        return math.nan, math.nan
    rng = np.random.default_rng(0)  # the same sweep gives the same page
    errors = np.array([own.std(ddof=1) / math.sqrt(len(own)) for own in values])
    freedom = np.array([len(own) - 1 for own in values])
    draws = means + errors * rng.standard_t(freedom, (_DRAWS, len(values)))
    ranks = stats.rankdata(draws, axis=1), stats.rankdata(published)
    correlations = [np.corrcoef(own, ranks[1])[0, 1] for own in ranks[0]]
    low, high = np.quantile(correlations, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)

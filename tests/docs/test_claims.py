"""The verdicts on the page about claims are those of the committed results, computed here from the records alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy import stats

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
MEASURED = sorted(path.stem for path in RESULTS.glob("claim_*.jsonl"))


def claim_of(name: str) -> dict[str, Any]:
    text = (ROOT / "conf" / "ablation" / f"{name}.yaml").read_text()
    claim = yaml.safe_load(text)["claim"]
    for key in claim.keys() - {"text", "smallest", "measurements"}:
        text = text.replace(f'"${{claim.{key}}}"', str(claim[key]))
    return yaml.safe_load(text)["claim"]


def value(records: list[dict[str, Any]], term: dict[str, Any], seed: int) -> float:
    wanted = {"seed": seed} | term["where"]
    (record,) = (r for r in records if all(r["axes"][key] == setting for key, setting in wanted.items()))
    result = record["metrics"][term["protocol"]]
    if "at" not in term:
        return result[term["value"]]
    return result[term["value"]][result["depths"].index(round(term["at"] * record["axes"]["depth"]))]


def complete(records: list[dict[str, Any]], measurement: dict[str, Any]) -> list[int]:
    """The seeds with all runs that a measurement needs."""
    wanted = [term["where"] for term in measurement["terms"]]
    found = {
        seed: [any(all(r["axes"][k] == v for k, v in {**w, "seed": seed}.items()) for r in records) for w in wanted]
        for seed in sorted({record["axes"]["seed"] for record in records})
    }
    return [seed for seed, terms in found.items() if all(terms)]


def row(records: list[dict[str, Any]], measurement: dict[str, Any], smallest: float) -> str:
    seeds = complete(records, measurement)
    sums = [sum(t["weight"] * value(records, t, seed) for t in measurement["terms"]) for seed in seeds]
    mean, half = np.mean(sums), stats.t.ppf(0.975, len(sums) - 1) * np.std(sums, ddof=1) / len(sums) ** 0.5
    low, high = mean - half, mean + half
    if low > 0 or high < 0:
        verdict = "supports" if low > 0 else "contradicts"
    else:
        verdict = "no relevant difference" if max(-low, high) < smallest else "undecided"
    numbers = f"{100 * mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
    return f"| {measurement['name']} | {len(seeds)} | {numbers} | {verdict} |"


@pytest.mark.parametrize("name", MEASURED)
def test_every_measurement_of_a_claim_is_on_the_page_with_its_verdict(name: str) -> None:
    lines = (RESULTS / f"{name}.jsonl").read_text().splitlines()[1:]
    records = [json.loads(line)["record"] for line in lines]
    assert {record["status"] for record in records} == {"finished"}
    claim, page = claim_of(name), (ROOT / "docs" / "reproduce" / "claims.md").read_text()
    for measurement in claim["measurements"]:
        if complete(records, measurement):
            assert row(records, measurement, claim["smallest"]) in page
        else:
            assert measurement["name"] not in page


def test_measurements_of_all_three_claims_are_there() -> None:
    assert MEASURED == ["claim_deep_supervision", "claim_local_supervision", "claim_residual_depth"]

"""Overrides as users write them."""

from itertools import permutations

import pytest

from mimbench.core.errors import UserError
from mimbench.experiments.budget import read_budget
from mimbench.experiments.composition.compose import composer
from mimbench.experiments.composition.overrides import prepare
from mimbench.experiments.config import describe, option_names, resolve


def configs(*overrides: str) -> list[dict]:
    with composer(overrides) as hydra:
        return [resolve(config) for config in hydra.configs(hydra.jobs())]


@pytest.mark.parametrize("experiment", option_names("experiment"))
def test_a_budget_wins_over_every_experiment(experiment: str) -> None:
    [config] = configs("budget=steps", f"experiment={experiment}", "budget.steps=3")
    assert (read_budget(config).steps, read_budget(config).epochs) == (3, None)


def test_the_order_of_overrides_does_not_matter() -> None:
    orders = permutations(["budget=steps", "budget.steps=3", "experiment=demo"])
    assert {str(configs(*order)[0]["budget"]) for order in orders} == {"{'epochs': None, 'steps': 3}"}


@pytest.mark.parametrize("kind", ["flops", "seconds"])
def test_budgets_of_other_kinds_win_as_well(kind: str) -> None:
    [config] = configs(f"budget={kind}", "experiment=demo")
    assert getattr(read_budget(config), kind) is not None
    assert read_budget(config).epochs is None


def test_the_same_kind_keeps_the_experiments_value_unless_it_is_given() -> None:
    assert configs("experiment=demo", "budget=epochs")[0]["budget"]["epochs"] == 13
    assert configs("experiment=demo", "budget=epochs", "budget.epochs=2")[0]["budget"]["epochs"] == 2


def test_the_run_is_the_one_without_an_experiment_and_has_no_axis_more() -> None:
    with composer(["experiment=demo", "budget=steps", "budget.steps=3"]) as hydra:
        [job] = hydra.jobs()
        [config] = hydra.configs([job])
    axes = describe(resolve(config), job, 4).axes
    assert {key for key in axes if key.startswith("budget")} == {"budget", "budget.steps"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("protocol=[linear-v1]", "protocol=[linear]"),
        ("protocol=linear-v1", "protocol=[linear]"),
        ("protocol=knn,linear-v2,knn", "protocol=[knn,linear_v2]"),
        ("protocol=[knn],[linear]", "protocol=[knn,linear]"),
        ("protocol=[partial-finetune]", "protocol=[partial_finetune]"),
        ("protocol=[imagenet-v2-v1]", "protocol=[imagenet_v2]"),
        ("protocol=[]", "protocol=[]"),
    ],
)
def test_protocols_are_a_list_of_files_or_result_names(given: str, expected: str) -> None:
    assert prepare([given]) == [expected]


@pytest.mark.parametrize("name", ["linear-v9", "lineer"])
def test_unknown_protocols_are_refused_with_a_hint(name: str) -> None:
    with pytest.raises(UserError, match=r"no protocol .* Did you mean linear"):
        prepare([f"protocol={name}"])


def test_protocols_are_no_axis_of_a_sweep() -> None:
    found = configs("protocol=knn,linear-v1", "seed=0,1")
    assert [list(config["protocol"]) for config in found] == [["knn", "linear"]] * 2


def test_several_ablations_at_once_are_refused() -> None:
    with pytest.raises(UserError, match="call the command once for each"):
        prepare(["+ablation=mae_target,mae_mask_ratio"])

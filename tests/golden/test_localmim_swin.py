"""Our default Swin equals the released one of LocalMIM with corrected coordinates and reordered merging weights."""

from typing import Any

import numpy as np
import pytest
from cases.localmim_swin import LocalMIMSwinCase
from documents import REPAIRED
from formulas import deviation

from mimbench.encoders.windows import visible_index
from mimbench.weights.formats.localmim_swin import LOCALMIM_SWIN_FORMAT


class RepairedCase(LocalMIMSwinCase):
    """Our Swin without the released quirks."""

    format = LOCALMIM_SWIN_FORMAT
    quirks = False


@pytest.fixture
def swin(repaired: str, documents_by_stem: dict[str, Any]) -> dict[str, Any]:
    return documents_by_stem[repaired]


def test_default_is_the_released_model_with_repaired_coordinates(swin: dict[str, Any]):
    case = RepairedCase(swin)
    recorded, run = swin[REPAIRED]["float64"], case.run("float64")
    observed = case.observe(run) | {
        "loss": run.output.loss,
        "loss_terms": np.array([term.item() for term in run.output.terms.values()]),
        "grad_total_l2": np.linalg.norm([np.linalg.norm(g) for g in case.gradients(run.method).values()]),
    }
    assert recorded.keys() <= observed.keys()
    for name, wanted in recorded.items():
        value = observed[name]
        value = value.detach().numpy() if hasattr(value, "detach") else value
        assert deviation(wanted, value) < 1e-10, name


def test_quirks_use_the_coordinates_that_the_released_code_uses(swin: dict[str, Any]):
    case = LocalMIMSwinCase(swin)
    hidden = case.masker()(1, (7, 7)).hidden[0]
    for check in swin["coordinate_check"]:
        side = check["resolution"]
        window_index, index = visible_index(~hidden, (side, side), by_cell=check["stage"] > 0)
        assert len(index) == check["visible_tokens"]
        assert int((window_index == index).sum()) == check["tokens_whose_coordinates_are_right"]
        for name, positions in (("coords_used_first8", window_index), ("coords_true_first8", index)):
            assert [list(divmod(int(p), side)) for p in positions[:8]] == check[name]

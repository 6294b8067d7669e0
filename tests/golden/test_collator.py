"""Our masker with the released quirks equals the released collator on prescribed random numbers."""

from collections import Counter
from typing import Any

import formulas

from mimbench.maskers import MultiBlockMasker


def test_regions_are_the_released_ones(collator: dict[str, Any]):
    assert collator["settings"]
    for setting in collator["settings"]:
        masker = build(setting)
        u = formulas.uniform(10_000, setting["stream"])
        calls = Counter[str]()

        def place(image: int, room: int, u: Any = u, calls: Counter[str] = calls) -> int:
            calls["n"] += 1
            return int(room * (u[calls["n"] - 1] + 1) / 2)

        grid = tuple(setting["grid"])
        target, context = setting["uniform_for_target_then_context_size"]
        assert [list(size) for size in masker.sizes(grid, (target, context))] == [
            setting["target_size"],
            setting["context_size"],
        ]
        regions = masker.released(setting["batch"], grid, (target, context), place)
        assert regions.contexts.tolist() == setting["masks_enc"]
        assert regions.targets.tolist() == setting["masks_pred"]
        assert calls["n"] == len(setting["places_drawn"])


def test_sizes_of_blocks_follow_from_one_number(collator: dict[str, Any]):
    masker = MultiBlockMasker(released_quirks=True)
    compared = 0
    for name, rows in collator["block_sizes"].items():
        if name == "columns":
            continue
        size, patch = map(int, name.split("/"))
        grid = (size // patch, size // patch)
        for uniform, target, context in rows:
            assert [list(one) for one in masker.sizes(grid, (uniform, uniform))] == [target, context], (name, uniform)
            compared += 1
    assert compared > 50


def build(setting: dict[str, Any]) -> MultiBlockMasker:
    return MultiBlockMasker(
        num_targets=setting["npred"],
        num_contexts=setting["nenc"],
        target_scale=tuple(setting["pred_mask_scale"]),
        target_aspect=tuple(setting["aspect_ratio"]),
        context_scale=tuple(setting["enc_mask_scale"]),
        min_keep=setting["min_keep"],
        allow_overlap=setting["allow_overlap"],
        released_quirks=True,
    )

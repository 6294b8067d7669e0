"""Histograms of oriented gradients equal the released ones for every size, number of bins, bias and cell."""

from typing import Any

import documents
import formulas
import numpy as np
import torch

from mimbench.targets import HOGTarget, target_values


def test_images_follow_the_formula(hog: dict[str, Any]):
    for size in {setting[0] for setting, _ in settings(hog)}:
        assert formulas.sha256([formulas.image(size)]) == hog[f"image_{size}"]["sha256_f32"]


def test_hog_equals_the_released_one(hog: dict[str, Any], precision: str, tolerance: float, device: str):
    for (size, bins, bias), record in settings(hog):
        images = torch.from_numpy(formulas.image(size)).to(device, getattr(torch, precision))
        pools = {int(name.removeprefix("pool")): wanted for name, wanted in record[precision].items()}
        targets = [HOGTarget(pool, bins, bias).to(images) for pool in pools]
        if bias:
            for target, (name, offset) in zip(targets, record["hog_conv_bias"].items(), strict=True):
                np.testing.assert_array_equal(formulas.weight(name, [2], False), offset)
                target.offset.copy_(torch.tensor(offset))
        values = target_values(targets, images)
        for target, wanted in zip(targets, pools.values(), strict=True):
            where = f"image {size}, {bins} bins, bias {bias}, cell {target.cell}"
            assert formulas.deviation(wanted, values[target].double().cpu().numpy()) < tolerance, where
            if "zero_fraction" in wanted:
                assert abs((values[target] == 0).double().mean() - wanted["zero_fraction"]) < 1e-6, where


def settings(hog: dict[str, Any]) -> list[tuple[tuple[int, int, bool], dict[str, Any]]]:
    found = [(documents.HOG_SETTING.fullmatch(key), record) for key, record in hog.items()]
    return [((int(m[1]), int(m[2]), m[3] is None), record) for m, record in found if m]

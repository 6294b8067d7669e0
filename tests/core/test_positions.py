"""Fixed position embeddings."""

import numpy as np
import pytest

from mimbench.core import sincos_2d


@pytest.mark.parametrize(("grid", "prefix"), [((4, 4), 1), ((3, 5), 0), ((14, 14), 2)])
def test_first_half_encodes_the_column_and_second_the_row(grid: tuple[int, int], prefix: int):
    dim, (rows, columns) = 16, grid
    expected = np.zeros((prefix + rows * columns, dim))
    for row in range(rows):
        for column in range(columns):
            for k in range(dim // 4):
                omega = 1 / 10_000 ** (4 * k / dim)
                waves = [f(p * omega) for p in (column, row) for f in (np.sin, np.cos)]
                expected[prefix + row * columns + column, k :: dim // 4] = waves
    np.testing.assert_allclose(sincos_2d(dim, grid, prefix)[0], expected, rtol=0, atol=1e-6)


def test_a_width_that_is_not_a_multiple_of_4_is_refused():
    with pytest.raises(ValueError, match="multiple of 4, got 30"):
        sincos_2d(30, (2, 2))

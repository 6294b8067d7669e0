"""Random numbers depend on what they are drawn for, and on nothing else."""

import itertools

import torch

from mimbench.core import generator, mix


def test_neighbouring_keys_give_different_seeds():
    seeds = {mix(*key) for key in itertools.product(range(-2, 6), repeat=3)}
    assert len(seeds) == 8**3


def test_order_and_number_of_values_count():
    assert len({mix(1, 2), mix(2, 1), mix(1, 2, 0), mix(0, 1, 2)}) == 4


def test_generators_of_equal_keys_agree():
    draws = [torch.rand(4, generator=generator(*key)) for key in ((0, 1), (0, 1), (0, 2))]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])

"""Entries of full-size released models and ours correspond one to one."""

import torch
from cases.base import Case
from census import census, differences


def test_every_name_translates_both_ways(names: Case):
    ours = names.format.names(_full_size(names))
    assert set(ours.values()) == set(names.shapes)


def test_shapes_are_equal_in_the_released_layout(names: Case):
    exported = names.format.export(_full_size(names))
    assert {name: tuple(tensor.shape) for name, tensor in exported.items()} == names.shapes


def test_what_trains_there_trains_here(names: Case):
    module = _full_size(names)
    trainable = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    ours = {theirs: name in trainable for name, theirs in names.format.names(module).items()}
    assert ours == {name: kind == "param" for name, kind in names.kinds.items()}


def test_parameter_counts(names: Case):
    counted = census(names, _full_size(names))
    assert not differences(names.document["parameter_counts"], counted)
    assert names.document["n_entries"] == len(names.shapes)


def _full_size(names: Case) -> torch.nn.Module:
    with torch.device("meta"):
        return names.build()

from dataclasses import dataclass, field
from typing import Any

import pytest
from torch import nn

from mimbench.evaluation import KNN, ImageProtocol, Layerwise, Linear, Subject, run_protocols
from mimbench.evaluation.base import tag
from mimbench.experiments.config import config_directory


@dataclass
class Trained(ImageProtocol):
    """trained-v1: spoils its encoder and writes a file."""

    name = "trained-v1"
    rate: float = 0.5
    workers: int = field(default=0, metadata={"card": False})

    def __call__(self, subject: Subject) -> dict[str, Any]:
        nn.init.zeros_(subject.encoder.trunk.norm.weight)
        (subject.directory / "metrics.csv").write_text("step,metric,value\n")
        return {"accuracy": 0.5, "rows": len(subject.features("val").labels)}


@pytest.mark.parametrize(
    ("protocol", "label"),
    [
        (Linear(), "linear-v1"),
        (Linear(epochs=5), "linear-v1+epochs=5"),
        (Linear(epochs=5, seed=1), "linear-v1+epochs=5+seed=1"),
        (Linear(lrs=[2.0, 1.0]), "linear-v1+lrs=1.0,2.0"),
        (Layerwise(linear=Linear(epochs=5)), "layerwise-v1+linear.epochs=5"),
        (Trained(workers=7), "trained-v1"),
        (KNN(ks=[50, 20, 10, 5, 1]), "knn-v1"),
    ],
)
def test_a_label_names_what_differs_from_the_card(protocol, label):
    assert protocol.label == label


def test_a_long_tag_becomes_a_short_one_that_still_tells_values_apart():
    first, second = tag({"root": "/some/where", "k": 1}), tag({"root": "/some/where", "k": 2})
    assert first != second
    assert len(first) == len("+012345")
    assert "/" not in tag({"root": "/a"})


def test_every_configuration_file_holds_its_card():
    import yaml
    from hydra.utils import instantiate

    own = {"knn", "linear", "linear_v2", "linear_mae", "layerwise", "attentive", "fewshot"}
    for path in (config_directory() / "protocol").glob("*.yaml"):
        if path.stem in own:
            protocol = instantiate(yaml.safe_load(path.read_text()), _convert_="all")
            assert protocol.deviations() == {}
            own.remove(path.stem)
    assert not own


def test_a_protocol_that_trains_gets_a_copy_and_a_folder(encoder, datamodule, tmp_path):
    before = encoder.trunk.norm.weight.clone()
    results = run_protocols([KNN(ks=[1]), Trained()], encoder, datamodule, directory=tmp_path, suffix="@drop1")
    assert results["trained-v1@drop1"]["rows"] == 20
    assert encoder.trunk.norm.weight.equal(before)
    assert [path.name for path in tmp_path.iterdir()] == ["trained-v1@drop1"]


def test_data_of_another_kind_are_refused_before_anything_is_read(encoder, datamodule):
    class Needy(Trained):
        needs = dict

    with pytest.raises(ValueError, match=r"trained-v1 needs data of type dict, got ImageDataModule"):
        run_protocols([KNN(), Needy()], encoder, datamodule)

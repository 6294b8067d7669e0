"""Probes that read images: linear-mae and attentive-v1."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from mimbench.data import ImageDataModule
from mimbench.evaluation import Attentive, LinearMAE, run_protocols
from mimbench.evaluation.features.token_reader import TokenReader
from mimbench.evaluation.probes.resuming import Resume
from mimbench.evaluation.protocols.attentive import AttentivePool
from mimbench.evaluation.protocols.linear_mae import lars, released_head

MAE = LinearMAE(epochs=3, warmup_epochs=1, batch_size=32, norm_size=16, base_lr=10.0)
ATTENTIVE = Attentive(lrs=[1e-3, 1e-2], epochs=2, min_steps=1, batch_size=16)
PROBES = [MAE, ATTENTIVE]
NAMES = [probe.name for probe in PROBES]


def measure(probe, encoder, datamodule, **options):
    (result,) = run_protocols([probe], encoder, datamodule, **options).values()
    return result


@pytest.fixture
def splits_read(datamodule, monkeypatch):
    read, plain = [], datamodule.plain
    monkeypatch.setattr(datamodule, "plain", lambda split: read.append(split) or plain(split))
    return read


@pytest.mark.parametrize("probe", PROBES, ids=NAMES)
def test_test_labels_change_nothing_but_the_accuracy_and_are_read_once(probe, encoder, datamodule, splits_read):
    first = measure(probe, encoder, datamodule)
    assert splits_read.count("test") == 1
    assert splits_read[-1] == "test"
    labels = datamodule.split("test").labels
    labels.copy_(labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))])
    second = measure(probe, encoder, datamodule)
    chosen = first.keys() - {"accuracy", "correct"}
    assert {name: first[name] for name in chosen} == {name: second[name] for name in chosen}
    assert first["correct"] != second["correct"]


@pytest.mark.parametrize("probe", PROBES, ids=NAMES)
def test_the_encoder_stays_as_it_was(probe, encoder, datamodule):
    encoder.train()
    state = {name: value.clone() for name, value in encoder.state_dict().items()}
    measure(probe, encoder, datamodule)
    assert all(value.equal(state[name]) for name, value in encoder.state_dict().items())
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert encoder.training


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("probe", PROBES, ids=NAMES)
def test_data_without_labels_are_refused(probe, split, encoder, datamodule):
    datamodule.split(split).labels[:2] = -1
    with pytest.raises(ValueError, match=rf"2 of \d+ images in {split} have no label"):
        measure(probe, encoder, datamodule)


@pytest.mark.parametrize(
    ("probe", "call"),  # which falls into the second epoch
    [(MAE, 4), (ATTENTIVE, 8), (replace(ATTENTIVE, resident_gib=0.0), 8)],
    ids=["linear-mae", "attentive-v1 in memory", "attentive-v1 streamed"],
)
def test_an_interrupted_probe_goes_on_and_ends_alike(probe, call, encoder, datamodule, tmp_path, monkeypatch):
    whole = measure(probe, encoder, datamodule, directory=tmp_path / "whole")
    calls, loss = [], nn.functional.cross_entropy

    def stop(*args, **options):
        calls.append(args)
        if len(calls) == call:
            raise KeyboardInterrupt
        return loss(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(nn.functional, "cross_entropy", stop)
        with pytest.raises(KeyboardInterrupt):
            measure(probe, encoder, datamodule, directory=tmp_path / "parts")
    assert not list((tmp_path / "parts").rglob(".*.tmp"))
    assert measure(probe, encoder, datamodule, directory=tmp_path / "parts") == whole
    assert not list(tmp_path.rglob("state.pt"))


def test_lars_steps_as_the_released_code():
    """Its formula: matrices by trust * |w| / |g|, vectors not; then momentum."""
    head = released_head(6, 3, seed=0)[1]
    own = lars(head)
    weight, bias = head.weight.detach().clone(), head.bias.detach().clone()
    momentum = [torch.zeros_like(weight), torch.zeros_like(bias)]
    draws = torch.Generator().manual_seed(0)
    for rate in (0.3, 0.7):
        gradients = [torch.randn(weight.shape, generator=draws), torch.randn(bias.shape, generator=draws)]
        head.weight.grad, head.bias.grad = (gradient.clone() for gradient in gradients)
        for group in own.param_groups:
            group["lr"] = rate
        own.step()
        step = gradients[0] * (0.001 * weight.norm() / gradients[0].norm())
        momentum = [0.9 * momentum[0] + step, 0.9 * momentum[1] + gradients[1]]
        weight, bias = weight - rate * momentum[0], bias - rate * momentum[1]
    torch.testing.assert_close(head.weight.data, weight)
    torch.testing.assert_close(head.bias.data, bias)


def test_the_released_head_normalizes_without_learned_scale():
    norm, linear = released_head(64, 10, seed=3)
    assert not list(norm.parameters())
    assert norm.eps == 1e-6
    assert float(linear.weight.detach().std()) == pytest.approx(0.01, rel=0.1)  # 640 draws
    assert not linear.bias.any()


def test_a_batch_beyond_the_training_set_becomes_the_training_set(encoder, datamodule):
    result = measure(LinearMAE(epochs=1), encoder, datamodule)
    assert result["batch_size"] == 48
    assert result["lr"] == pytest.approx(0.1 * 48 / 256)


def test_crops_and_mirroring_are_those_of_the_release_unless_the_source_forbids(datamodule):
    free, _ = LinearMAE()._loader(datamodule)
    assert free.dataset.transform.scale == (0.08, 1.0)
    assert free.dataset.transform.flip

    class Careful(type(datamodule.source)):
        crop_scale, flip = (0.6, 1.0), False

    bound, _ = LinearMAE()._loader(ImageDataModule(Careful()))
    assert bound.dataset.transform.scale == (0.6, 1.0)
    assert not bound.dataset.transform.flip


def test_tokens_in_memory_and_from_the_encoder_are_the_same(encoder, datamodule):
    order = torch.randperm(48, generator=torch.Generator().manual_seed(0))
    encoder.eval()
    read = [TokenReader(encoder, datamodule, "train", torch.device("cpu"), gib)(order, 10) for gib in (1, 0)]
    for (ours, labels), (theirs, others) in zip(*read, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)  # batches of other sizes
        assert torch.equal(labels, others)


def test_attentive_pooling_is_pytorchs_attention():
    pool = AttentivePool(128, 5)
    tokens = torch.randn(3, 7, 128, generator=torch.Generator().manual_seed(0))
    attention = nn.MultiheadAttention(128, 2, batch_first=True)
    with torch.no_grad():
        nn.init.eye_(attention.in_proj_weight[:128])
        attention.in_proj_weight[128:] = pool.kv.weight
        attention.in_proj_bias[:128] = 0
        attention.in_proj_bias[128:] = pool.kv.bias
        attention.out_proj.weight[:], attention.out_proj.bias[:] = pool.out.weight, pool.out.bias
        normed = nn.functional.layer_norm(tokens, (128,))
        pooled = attention(pool.query.expand(3, 1, -1), normed, normed)[0][:, 0]
        expected = pool.head(nn.functional.layer_norm(pooled, (128,)))
        torch.testing.assert_close(pool(tokens), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrong", [{"pooling": "max"}, {"epochs": 0}, {"base_lr": 0.0}])
def test_senseless_parameters_of_linear_mae_are_refused(wrong):
    with pytest.raises(ValueError, match=r"pooling is|must be positive"):
        LinearMAE(**wrong)


@pytest.mark.parametrize("wrong", [{"lrs": []}, {"lrs": [-1.0]}, {"epochs": 0}])
def test_senseless_parameters_of_attentive_are_refused(wrong):
    with pytest.raises(ValueError, match="must be positive"):
        Attentive(**wrong)


def test_a_state_of_other_weights_is_not_gone_on_from(encoder, datamodule, tmp_path):
    resume = Resume(tmp_path, encoder, "probe")
    resume.save({"epoch": 3})
    assert Resume(tmp_path, encoder, "probe").load() == {"epoch": 3}
    assert Resume(tmp_path, encoder, "another probe").load() is None
    encoder.trunk.norm.bias.data += 1
    assert Resume(tmp_path, encoder, "probe").load() is None

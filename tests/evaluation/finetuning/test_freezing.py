"""Of a partially fine-tuned classifier the rest really is frozen."""

import pytest
import torch
from timm.layers import DropPath
from torch import nn

from mimbench.encoders import swin, vit
from mimbench.evaluation.finetuning import classifier
from mimbench.evaluation.finetuning.freezing import train_last
from mimbench.evaluation.finetuning.groups import layer_groups


def make(pooling: str = "avg") -> nn.Module:
    torch.manual_seed(0)
    return classifier(vit(32, 8, 48, 4, 4), 7, pooling, drop_path=0.2)


def trained(model: nn.Module) -> set[str]:
    """First name parts, or the number of the block, of what trains."""
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    return {".".join(name.split(".")[: 2 if name.startswith("blocks") else 1]) for name in names}


@pytest.mark.parametrize(
    ("pooling", "number", "expected"),
    [
        ("avg", 0, {"head", "fc_norm"}),
        ("token", 0, {"head"}),
        ("token", 1, {"head", "norm", "blocks.3"}),
        ("avg", 2, {"head", "fc_norm", "blocks.2", "blocks.3"}),
        ("avg", 1.5, {"head", "fc_norm", "blocks.2", "blocks.3"}),
    ],
)
def test_only_the_last_blocks_train(pooling: str, number: float, expected: set[str]) -> None:
    model = make(pooling)
    train_last(model, number)
    assert trained(model) == expected


def test_half_a_block_is_its_mlp() -> None:
    model = make()
    train_last(model, 0.5)
    parts = {name.split(".")[2] for name, p in model.named_parameters() if p.requires_grad and "blocks.3." in name}
    assert parts == {"norm2", "mlp"}


def test_all_blocks_leave_nothing_frozen() -> None:
    model = make()
    train_last(model, 4)
    assert all(p.requires_grad for p in model.parameters())
    assert any(isinstance(part, DropPath) for part in model.modules())


@pytest.mark.parametrize("number", [0, 0.5, 1, 2.5])
def test_steps_leave_the_rest_bit_equal_and_its_features_without_noise(number: float) -> None:
    model = make().train()
    train_last(model, number)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    free = {name for name, p in model.named_parameters() if p.requires_grad}
    images = torch.randn(6, 3, 32, 32)
    first = 4 - int(number) - (1 if number % 1 else 0)
    frozen = nn.Sequential(*list(model.blocks.children())[:first])
    tokens = torch.randn(2, 17, 48)
    assert torch.equal(frozen(tokens), frozen(tokens))
    optimizer = torch.optim.AdamW(layer_groups(model, 1e-2, 0.05, 0.65))
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), torch.arange(6)).backward()
        optimizer.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == free


def test_a_swin_trains_the_merging_behind_a_trained_block() -> None:
    def names(number: float) -> set[str]:
        model = classifier(swin(64, 16, (2, 2, 2, 2), (2, 2, 4, 4), window=2), 7)
        train_last(model, number)
        return {name for name, p in model.named_parameters() if p.requires_grad}

    assert not [name for name in names(2) if "downsample" in name]
    assert {name.split(".")[1] for name in names(2) if name.startswith("layers")} == {"3"}
    assert {name.split(".")[1] for name in names(3) if "downsample" in name} == {"3"}
    assert {name.split(".")[1] for name in names(2.5) if "downsample" in name} == {"3"}
    assert {name.split(".")[1] for name in names(5) if "downsample" in name} == {"2", "3"}
    assert "norm.weight" in names(1)
    assert "norm.weight" not in names(0)


def test_frozen_positions_stay_frozen() -> None:
    model = classifier(vit(32, 8, 48, 4, 4), 7, train_positions=False)
    train_last(model, 4)
    assert not model.pos_embed.requires_grad


@pytest.mark.parametrize("number", [-1, 0.25, 5])
def test_numbers_that_are_no_halves_of_blocks_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 4"):
        train_last(make(), number)

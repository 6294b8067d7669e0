"""The case of a fine-tuning file agrees with MAE's classifier written by hand, and compares all of the file."""

from typing import Any

import documents
import formulas
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cases import rebuild
from cases.finetune import MAEFinetuneCase
from torch import Tensor

CONFIG = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 4, "mlp_ratio": 2.0}
CONFIG |= {"in_chans": 3, "num_classes": 7, "norm_layer": "partial(nn.LayerNorm, eps=1e-6)", "qkv_bias": True}
LABELS = [2, 5]


def shapes(global_pool: bool) -> dict[str, tuple[int, ...]]:
    """Names and shapes of `models_vit.VisionTransformer`."""
    d, m = 48, 96
    found: dict[str, tuple[int, ...]] = {"cls_token": (1, 1, d), "pos_embed": (1, 17, d)}
    found |= {"patch_embed.proj.weight": (d, 3, 8, 8), "patch_embed.proj.bias": (d,)}
    for i in range(3):
        parts = {"norm1": (d,), "attn.qkv": (3 * d, d), "attn.proj": (d, d), "norm2": (d,)}
        for part, shape in (parts | {"mlp.fc1": (m, d), "mlp.fc2": (d, m)}).items():
            found |= {f"blocks.{i}.{part}.weight": shape, f"blocks.{i}.{part}.bias": shape[:1]}
    norm = "fc_norm" if global_pool else "norm"
    found |= {f"{norm}.weight": (d,), f"{norm}.bias": (d,), "head.weight": (7, d), "head.bias": (7,)}
    return found


def classify(w: dict[str, Tensor], images: Tensor, global_pool: bool) -> tuple[Tensor, Tensor]:
    """Features and logits as in MAE's released `forward_features` and head."""

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x: Tensor, name: str) -> Tensor:
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-6).sqrt()
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    x = F.conv2d(images, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=8).flatten(2).mT
    x = torch.cat([w["cls_token"].expand(len(x), -1, -1), x], 1) + w["pos_embed"]
    for i in range(3):
        qkv = linear(norm(x, f"blocks.{i}.norm1"), f"blocks.{i}.attn.qkv").unflatten(2, (3, 4, 12))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attention = (q @ k.mT / 12**0.5).softmax(-1) @ v
        x = x + linear(attention.transpose(1, 2).flatten(2), f"blocks.{i}.attn.proj")
        x = x + linear(F.gelu(linear(norm(x, f"blocks.{i}.norm2"), f"blocks.{i}.mlp.fc1")), f"blocks.{i}.mlp.fc2")
    features = norm(x[:, 1:].mean(1), "fc_norm") if global_pool else norm(x, "norm")[:, 0]
    return features, linear(features, "head")


def record(value: Tensor) -> dict[str, Any]:
    flat = value.detach().double().numpy().ravel()
    dot = float(flat @ formulas.uniform(flat.size, "checksum"))
    return {"shape": list(value.shape), "sum": flat.sum(), "l2": np.linalg.norm(flat), "dot": dot, "first": flat[:8]}


def document(global_pool: bool, learned_positions: bool) -> dict[str, Any]:
    """A golden file of a classifier, computed by `classify`."""
    released = {name: formulas.weight(name, shape, False) for name, shape in shapes(global_pool).items()}
    if not learned_positions:
        released["pos_embed"] = formulas.sincos(17, 48)
    entries = [[name, list(v.shape), "param", np.linalg.norm(v.astype(np.float64))] for name, v in released.items()]
    weights = {name: torch.from_numpy(value).double().requires_grad_() for name, value in released.items()}
    features, logits = classify(weights, torch.from_numpy(formulas.image(32)).double(), global_pool)
    loss = F.cross_entropy(logits, torch.tensor(LABELS))
    loss.backward()
    grads = {name: record(w.grad) for name, w in weights.items() if w.grad is not None}
    run = {"logits": record(logits), "features": record(features), "loss": loss.item(), "grads": {"selected": grads}}
    official = {"repository": "facebookresearch/mae", "file": "models_vit.py"}
    config = CONFIG | {"global_pool": global_pool, "drop_path_rate": 0.1}
    return {"official": official, "config": config, "state_dict": entries, "inputs": {"labels": LABELS}} | {
        "float64": run,
        "float32": run,
    }


@pytest.mark.parametrize("learned_positions", [False, True])
@pytest.mark.parametrize("global_pool", [False, True])
def test_classifiers_equal_the_released_computation(global_pool: bool, learned_positions: bool):
    made = document(global_pool, learned_positions)
    assert documents.kind(made) == "classifier"
    case = rebuild(made)
    assert isinstance(case, MAEFinetuneCase)
    found = case.forward("float64")
    for name in ("logits", "features"):
        ours = case.match(name, made["float64"][name], found).detach().numpy()
        assert formulas.deviation(made["float64"][name], ours) < 1e-10, name
    [loss] = case.objectives(found.logits).values()
    assert abs(loss.item() - made["float64"]["loss"]) < 1e-12
    loss.backward()
    gradients = case.gradients(found.model)
    assert gradients.keys() == made["float64"]["grads"]["selected"].keys()
    for name, wanted in made["float64"]["grads"]["selected"].items():
        assert formulas.deviation(wanted, gradients[name]) < 1e-8, name


def test_outputs_are_found_by_shape_where_their_name_is_new():
    made = document(True, False)
    case = rebuild(made)
    assert isinstance(case, MAEFinetuneCase)
    found = case.forward("float64")
    assert case.match("y", {"shape": [2, 7]}, found) is found.logits
    assert case.match("after_blocks", {"shape": [2, 17, 48]}, found) is found.tokens
    with pytest.raises(ValueError, match="no output of a classifier"):
        case.match("attention", {"shape": [2, 4, 17, 17]}, found)


def test_a_classifier_that_is_another_is_refused():
    made = document(True, False)
    made["config"]["representation_size"] = 64
    with pytest.raises(ValueError, match="cannot rebuild representation_size"):
        rebuild(made)

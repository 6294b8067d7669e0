"""MAE on timm's blocks in the formulation of the released code, as a peer to be compared with.

As described in He et al. (2022, arXiv 2111.06377), appendix A: all patches are embedded, then the visible ones are
gathered in random order; the decoder has a mask token for every hidden patch, restores the order, predicts all patches,
and the mean squared error is weighted by the mask.
"""

from typing import Any, cast

import timm
import torch
from jaxtyping import Float
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from mimbench.benchmarking import Setting
from mimbench.benchmarking.stopwatch import Stopwatch
from mimbench.optim import Recipe


class ReleasedMAE(nn.Module):
    """Encoder and decoder with the sizes of `mimbench.benchmarking.transformers_sizes`."""

    def __init__(self, sizes: dict[str, Any]):
        super().__init__()
        width, dim, self.cell = sizes["hidden_size"], sizes["decoder_hidden_size"], sizes["patch_size"]
        trunk = timm.create_model(
            "vit_base_patch16_224",
            img_size=sizes["image_size"],
            patch_size=self.cell,
            embed_dim=width,
            depth=sizes["num_hidden_layers"],
            num_heads=sizes["num_attention_heads"],
            mlp_ratio=sizes["intermediate_size"] / width,
            num_classes=0,
        )
        self.trunk, self.ratio = cast("VisionTransformer", trunk), sizes["mask_ratio"]
        num_patches = self.trunk.patch_embed.num_patches
        self.project, self.mask_token = nn.Linear(width, dim), nn.Parameter(torch.zeros(1, 1, dim))
        self.positions = nn.Parameter(torch.randn(1, num_patches + 1, dim) * 0.02, requires_grad=False)
        heads, ratio = sizes["decoder_num_attention_heads"], sizes["decoder_intermediate_size"] / dim
        self.blocks = nn.ModuleList(
            Block(dim, heads, ratio, qkv_bias=True) for _ in range(sizes["decoder_num_hidden_layers"])
        )
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, 3 * self.cell**2)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, ""]:
        positions = cast("Tensor", self.trunk.pos_embed)
        x = self.trunk.patch_embed(images) + positions[:, 1:]
        num, keep = x.shape[1], int(x.shape[1] * (1 - self.ratio))
        order = torch.rand(len(x), num, device=x.device).argsort(dim=1)
        restore = order.argsort(dim=1)
        x = x.gather(1, order[:, :keep, None].expand(-1, -1, x.shape[2]))
        first = cast("Tensor", self.trunk.cls_token) + positions[:, :1]
        x = torch.cat([first.expand(len(x), -1, -1), x], dim=1)
        for block in self.trunk.blocks:
            x = block(x)
        x = self.project(self.trunk.norm(x))
        filled = torch.cat([x[:, 1:], self.mask_token.expand(len(x), num - keep, -1)], dim=1)
        filled = filled.gather(1, restore[:, :, None].expand(-1, -1, x.shape[2]))
        x = torch.cat([x[:, :1], filled], dim=1) + self.positions
        for block in self.blocks:
            x = block(x)
        error = (self.head(self.norm(x))[:, 1:] - self._targets(images)).square().mean(dim=-1)
        hidden = (restore >= keep).float()
        return (error * hidden).sum() / hidden.sum()

    def _targets(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b n d"]:
        b, _, h, w = images.shape
        cells = images.reshape(b, 3, h // self.cell, self.cell, w // self.cell, self.cell)
        cells = cells.permute(0, 2, 4, 3, 5, 1).reshape(b, -1, 3 * self.cell**2)
        return (cells - cells.mean(-1, keepdim=True)) / (cells.var(-1, keepdim=True) + 1e-6).sqrt()


class ReleasedStep:
    """A step of `ReleasedMAE` with the images and the fused AdamW of a `MethodStep`."""

    def __init__(self, sizes: dict[str, Any], recipe: Recipe, setting: Setting):
        self.model = ReleasedMAE(sizes).to(setting.device).train()
        self.setting, self.images = setting, setting.images(sizes["image_size"])
        self.optimizer = recipe.optimizer(self.model, setting.batch)

    def __call__(self) -> dict[str, float]:
        watch = Stopwatch(self.setting.device)
        with self.setting.autocast():
            loss = self.model(self.images)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        watch.mark("step")
        return watch.seconds()

"""Mask R-CNN from torchvision's parts on a pyramid of features."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from timm.layers import LayerNorm2d
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.poolers import LevelMapper

from mimbench.evaluation.detection.pyramid import Backbone, Levels

Targets = list[dict[str, Tensor]]

ANCHOR_CELLS = 8  # side of an anchor in cells of its level: 32 px at a stride of 4
RATIOS = (0.5, 1.0, 2.0)
NUM_HIDDEN = 4  # convolutions of the box and mask heads


class Detector(nn.Module):
    """RPN, box and mask heads as in ViTDet: two hidden convolutions in the RPN, LayerNorm in the heads.

    Targets name boxes (x0 y0 x1 y1 in pixels), labels from 1 (0 is the background) and masks of every image.

    Args:
        num_classes: Without the background.
        score_threshold: Detections with a lower score are dropped.
        proposals: Boxes of an image that the heads train on; the RPN hands on twice as many, at most 1,000.
    """

    def __init__(self, backbone: Backbone, num_classes: int, score_threshold: float = 0.05, proposals: int = 512):
        super().__init__()
        width, strides = backbone.out_channels, backbone.strides
        candidates = min(1000, 2 * proposals)
        norm = partial(LayerNorm2d, eps=1e-6)
        anchors = AnchorGenerator(tuple((ANCHOR_CELLS * s,) for s in strides), (RATIOS,) * len(strides))
        model = MaskRCNN(
            backbone,
            rpn_anchor_generator=anchors,
            rpn_head=RPNHead(width, len(RATIOS), conv_depth=2),
            box_roi_pool=_pool(strides, 7),
            box_head=FastRCNNConvFCHead((width, 7, 7), [width] * NUM_HIDDEN, [4 * width], norm_layer=norm),
            box_predictor=FastRCNNPredictor(4 * width, num_classes + 1),
            box_batch_size_per_image=proposals,
            rpn_pre_nms_top_n_train=min(2000, 4 * proposals),
            rpn_pre_nms_top_n_test=candidates,
            rpn_post_nms_top_n_train=candidates,
            rpn_post_nms_top_n_test=candidates,
            box_score_thresh=score_threshold,
            mask_roi_pool=_pool(strides, 14),
            mask_head=MaskRCNNHeads(width, [width] * NUM_HIDDEN, 1, norm_layer=norm),
            mask_predictor=MaskRCNNPredictor(width, width, num_classes + 1),
        )
        # Its own resizing stays out: images come scaled, padded and normalized.
        self.backbone, self.rpn, self.heads = backbone, model.rpn, model.roi_heads
        heads: list[Any] = [self.rpn.head, self.heads.box_predictor]
        for part in heads:
            part.register_forward_hook(_in_full)  # torchvision decodes boxes in their type, where bf16 is off by pixels

    def losses(
        self, images: Float[Tensor, "b 3 h w"], sizes: Int[Tensor, "b 2"], targets: Targets
    ) -> dict[str, Float[Tensor, ""]]:
        """The five losses of Mask R-CNN; needs training mode, and draws from PyTorch's default generator."""
        levels, listed = self._levels(images, sizes)
        proposals, of_rpn = self.rpn(listed, levels, targets)
        _, of_heads = self.heads(levels, proposals, listed.image_sizes, targets)
        return of_heads | of_rpn

    @torch.inference_mode()
    def detect(self, images: Float[Tensor, "b 3 h w"], sizes: Int[Tensor, "b 2"]) -> list[dict[str, Tensor]]:
        """Boxes, labels (from 1), scores and masks "k 1 28 28" (probabilities within the box) of every image."""
        levels, listed = self._levels(images, sizes)
        proposals, _ = self.rpn(listed, levels)
        found, _ = self.heads(levels, proposals, listed.image_sizes)
        return found

    def _levels(self, images: Tensor, sizes: Tensor) -> tuple[Levels, ImageList]:
        """Pads so that every level divides the image: torchvision reads the strides off the levels."""
        coarsest = self.backbone.strides[-1]
        images = F.pad(images, (0, -images.shape[3] % coarsest, 0, -images.shape[2] % coarsest))
        return self.backbone(images, sizes), ImageList(images, [(h, w) for h, w in sizes.tolist()])


def at_size(found: dict[str, Tensor], seen: Sequence[int], size: Sequence[int]) -> dict[str, Tensor]:
    """Detections of a scaled image on the image itself: boxes in its pixels, masks bool "k h w".

    Args:
        seen: Height and width that the detector saw.
        size: Height and width of the image.
    """
    factors = [size[1] / seen[1], size[0] / seen[0]] * 2
    boxes = found["boxes"] * torch.tensor(factors, device=found["boxes"].device)
    masks = paste_masks_in_image(found["masks"], boxes, (size[0], size[1]))[:, 0] >= 0.5
    return found | {"boxes": boxes, "masks": masks}


def _pool(strides: Sequence[int], cells: int) -> MultiScaleRoIAlign:
    """RoIAlign over all levels but the coarsest.

    torchvision guesses the strides from the largest image of a batch, which is wrong where all are padded, so they are
    set. A box of 224 px is read at a stride of 16 (Lin et al. 2017), smaller ones from finer levels.
    """
    levels = [str(i) for i in range(len(strides) - 1)]
    pool = MultiScaleRoIAlign(levels, cells, sampling_ratio=2)
    pool.scales = [1 / stride for stride in strides[:-1]]
    finest, coarsest = (stride.bit_length() - 1 for stride in (strides[0], strides[-2]))
    pool.map_levels = LevelMapper(finest, coarsest)
    return pool


def _in_full(module: nn.Module, inputs: Any, outputs: Any) -> Any:
    """What a head says, in single precision."""
    if isinstance(outputs, Tensor):
        return outputs.float()
    return type(outputs)(_in_full(module, inputs, output) for output in outputs)

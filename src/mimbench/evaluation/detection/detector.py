"""Mask R-CNN, built from torchvision's parts on a feature pyramid."""

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

ANCHOR_CELLS = 8  # side of an anchor in cells of its level, such as 32 px at stride 4
RATIOS = (0.5, 1.0, 2.0)
NUM_HIDDEN = 4  # hidden convolutions of the box head and of the mask head


class Detector(nn.Module):
    """Mask R-CNN as in ViTDet: two hidden convolutions in the RPN, LayerNorm in the box and mask heads.

    Targets are `boxes` (x0 y0 x1 y1 in pixels), `labels` from 1 (0 is the background) and `masks` of every image.

    Args:
        num_classes: Number of classes without the background.
        score_threshold: Detections with a lower score are dropped.
        proposals: Boxes per image on which the heads are trained; the RPN proposes twice as many, at most 1,000.
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
        # MaskRCNN's transform is left out, since images are already scaled, padded and normalized.
        self.backbone, self.rpn, self.heads = backbone, model.rpn, model.roi_heads
        heads: list[Any] = [self.rpn.head, self.heads.box_predictor]
        for part in heads:
            part.register_forward_hook(_to_float32)  # torchvision decodes boxes in this type; bf16 errs by pixels

    def losses(
        self, images: Float[Tensor, "b 3 h w"], sizes: Int[Tensor, "b 2"], targets: Targets
    ) -> dict[str, Float[Tensor, ""]]:
        """The five losses of Mask R-CNN, in training mode; samples boxes with PyTorch's default generator."""
        levels, padded = self._levels(images, sizes)
        proposals, rpn_losses = self.rpn(padded, levels, targets)
        _, head_losses = self.heads(levels, proposals, padded.image_sizes, targets)
        return head_losses | rpn_losses

    @torch.inference_mode()
    def detect(self, images: Float[Tensor, "b 3 h w"], sizes: Int[Tensor, "b 2"]) -> list[dict[str, Tensor]]:
        """Boxes, labels (from 1), scores and masks "k 1 28 28" (probabilities within the box) of every image."""
        levels, padded = self._levels(images, sizes)
        proposals, _ = self.rpn(padded, levels)
        found, _ = self.heads(levels, proposals, padded.image_sizes)
        return found

    def _levels(self, images: Tensor, sizes: Tensor) -> tuple[Levels, ImageList]:
        """Pads images to a multiple of the coarsest stride: torchvision derives strides from the sizes of levels."""
        coarsest = self.backbone.strides[-1]
        images = F.pad(images, (0, -images.shape[3] % coarsest, 0, -images.shape[2] % coarsest))
        return self.backbone(images, sizes), ImageList(images, [(h, w) for h, w in sizes.tolist()])


def rescale(found: dict[str, Tensor], scaled: Sequence[int], size: Sequence[int]) -> dict[str, Tensor]:
    """Maps detections on a scaled image to the original one: boxes in its pixels, masks bool "k h w".

    Args:
        scaled: Height and width of the scaled image, which the detector received.
        size: Height and width of the original image.
    """
    factors = [size[1] / scaled[1], size[0] / scaled[0]] * 2
    boxes = found["boxes"] * torch.tensor(factors, device=found["boxes"].device)
    masks = paste_masks_in_image(found["masks"], boxes, (size[0], size[1]))[:, 0] >= 0.5
    return found | {"boxes": boxes, "masks": masks}


def _pool(strides: Sequence[int], cells: int) -> MultiScaleRoIAlign:
    """RoIAlign over all levels except the coarsest.

    The strides are set, since torchvision estimates them from the largest image of a batch, which is wrong if all
    images are padded. Boxes of 224 px are read at stride 16 (Lin et al. 2017), smaller ones from finer levels.
    """
    levels = [str(i) for i in range(len(strides) - 1)]
    pool = MultiScaleRoIAlign(levels, cells, sampling_ratio=2)
    pool.scales = [1 / stride for stride in strides[:-1]]
    finest, coarsest = (stride.bit_length() - 1 for stride in (strides[0], strides[-2]))
    pool.map_levels = LevelMapper(finest, coarsest)
    return pool


def _to_float32(module: nn.Module, inputs: Any, outputs: Any) -> Any:
    """A forward hook that converts the outputs of a head to single precision."""
    if isinstance(outputs, Tensor):
        return outputs.float()
    return type(outputs)(_to_float32(module, inputs, output) for output in outputs)

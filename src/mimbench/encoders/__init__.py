"""Encoders: timm models that can run on the visible part of an image."""

from mimbench.encoders.base import Encoder
from mimbench.encoders.beit import BeitEncoder, beit
from mimbench.encoders.swin import SwinEncoder, swin, timm_swin
from mimbench.encoders.vit import ViTEncoder, timm_vit, vit

__all__ = ["BeitEncoder", "Encoder", "SwinEncoder", "ViTEncoder", "beit", "swin", "timm_swin", "timm_vit", "vit"]

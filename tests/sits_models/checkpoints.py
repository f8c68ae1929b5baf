"""Checkpoints of untrained backbones, small enough for tests."""

from pathlib import Path
from typing import Any

import torch

from sits_models.checkpoint import ModelCard, save_checkpoint
from sits_models.data.normalisation import Normalisation
from sits_models.registry import create


def write_backbone(folder: Path, **card: Any) -> Path:
    """A checkpoint with random weights, of smaller layers than the name says."""
    bands = ("B02", "B03", "B04", "B08")
    said = {
        "backbone": "planar_vit_nano", "bands": bands, "resolution_m": 10, "mask": "standard",
        "backbone_arguments": {"in_channels": 4, "dim": 24, "temporal_depth": 1, "spatial_depth": 1},
        "normalisation": Normalisation(bands=bands, low=(0.02,) * 4, high=(0.4,) * 4),
        "views": {"length": 16},
    }  # fmt: skip
    made = ModelCard.model_validate(said | card)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        backbone = create("backbones", made.backbone, **made.backbone_arguments)
    save_checkpoint(folder, backbone, made)
    return folder

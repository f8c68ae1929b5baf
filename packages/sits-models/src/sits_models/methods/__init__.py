"""Self-supervised methods, one a file; each is a TorchGeo task that draws its own views."""

from sits_models.methods.dino import DINO
from sits_models.methods.simclr import SimCLR

__all__ = ["DINO", "SimCLR"]

"""Self-supervised learning and downstream tasks on planar representations of image time series."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sits_models.checkpoint import ModelCard as ModelCard
    from sits_models.checkpoint import load_backbone as load_backbone
    from sits_models.checkpoint import load_head as load_head
    from sits_models.checkpoint import read_card as read_card
    from sits_models.checkpoint import save_checkpoint as save_checkpoint
    from sits_models.data.datamodule import PlanarDataModule as PlanarDataModule
    from sits_models.data.planar import PlanarDataset as PlanarDataset
    from sits_models.registry import create as create
    from sits_models.registry import register as register

_EXPORTS = {
    "ModelCard": "sits_models.checkpoint",
    "PlanarDataModule": "sits_models.data.datamodule",
    "PlanarDataset": "sits_models.data.planar",
    "create": "sits_models.registry",
    "load_backbone": "sits_models.checkpoint",
    "load_head": "sits_models.checkpoint",
    "read_card": "sits_models.checkpoint",
    "register": "sits_models.registry",
    "save_checkpoint": "sits_models.checkpoint",
}

__all__ = [*_EXPORTS]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: torch takes seconds to import."""
    if name not in _EXPORTS:
        raise AttributeError(f"module 'sits_models' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)

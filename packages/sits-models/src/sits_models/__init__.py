"""Self-supervised learning and downstream tasks on planar representations of image time series."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sits_models.data.planar import PlanarDataset as PlanarDataset

_EXPORTS = {"PlanarDataset": "sits_models.data.planar"}

__all__ = [*_EXPORTS]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: torch takes seconds to import."""
    if name not in _EXPORTS:
        raise AttributeError(f"module 'sits_models' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)

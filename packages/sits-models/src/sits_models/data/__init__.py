"""Datasets that turn artifacts of sits-data into samples and batches."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sits_models.data.datamodule import PlanarDataModule as PlanarDataModule
    from sits_models.data.planar import PlanarDataset as PlanarDataset

_EXPORTS = {
    "PlanarDataModule": "sits_models.data.datamodule",
    "PlanarDataset": "sits_models.data.planar",
}

__all__ = [*_EXPORTS]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: torch takes seconds to import."""
    if name not in _EXPORTS:
        raise AttributeError(f"module 'sits_models.data' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)

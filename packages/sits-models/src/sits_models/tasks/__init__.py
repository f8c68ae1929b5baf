"""Downstream problems as Lightning modules that TorchGeo's command line takes too."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sits_models.tasks.change import ChangeDetection as ChangeDetection
    from sits_models.tasks.classification import RegionClassification as RegionClassification
    from sits_models.tasks.segmentation import PixelSegmentation as PixelSegmentation

_EXPORTS = {
    "ChangeDetection": "sits_models.tasks.change",
    "PixelSegmentation": "sits_models.tasks.segmentation",
    "RegionClassification": "sits_models.tasks.classification",
}

__all__ = [*_EXPORTS]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: torch takes seconds to import."""
    if name not in _EXPORTS:
        raise AttributeError(f"module 'sits_models.tasks' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)

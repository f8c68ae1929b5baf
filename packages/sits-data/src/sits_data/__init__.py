"""From a field outline to cloud-masked Sentinel-2 cubes and planar images on disk."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sits_data.build import build_cube as build_cube
    from sits_data.catalog import open_catalog as open_catalog
    from sits_data.cube import open_cube as open_cube
    from sits_data.planning import plan_cube as plan_cube
    from sits_data.store import open_store as open_store
    from sits_data.store import planarize as planarize

_EXPORTS = {
    "build_cube": "sits_data.build",
    "open_catalog": "sits_data.catalog",
    "open_cube": "sits_data.cube",
    "open_store": "sits_data.store",
    "plan_cube": "sits_data.planning",
    "planarize": "sits_data.store",
}

__all__ = [*_EXPORTS]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import a public function when it is first used, so that `import sits_data` stays fast."""
    if name not in _EXPORTS:
        raise AttributeError(f"module 'sits_data' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)

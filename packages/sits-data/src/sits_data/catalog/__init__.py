"""Catalogues of Sentinel-2: one way to open them, one way to ask."""

from pathlib import Path
from urllib.parse import urlparse

from sits_data.catalog.api import ApiCatalog
from sits_data.catalog.base import Catalog as Catalog
from sits_data.catalog.static import StaticCatalog
from sits_data.errors import CatalogError

KNOWN = {"earth-search": "https://earth-search.aws.element84.com/v1"}
"""Catalogues that have a name."""


def open_catalog(source: str | Path) -> Catalog:
    """A catalogue by name, by address or by path.

    Args:
        source: a name (`earth-search`), the address of a STAC API or of a static catalogue, or the
            path to a `catalog.json`, a `collection.json` or a GeoJSON of items.

    Raises:
        CatalogError: nothing is there, it is not STAC, or it does not answer.
    """
    address = KNOWN.get(str(source), str(source))
    if urlparse(address).scheme in {"http", "https"}:
        if address.endswith((".json", ".geojson")):
            return StaticCatalog.open(address)
        return ApiCatalog.open(address)
    path = Path(address)
    if not path.is_file():
        hint = f"{path / 'catalog.json'}" if path.is_dir() else "a path to a catalog.json"
        raise CatalogError(
            f"no catalogue at {source}; give {hint}, an address, or one of: {', '.join(KNOWN)}"
        )
    return StaticCatalog.open(str(path.resolve()))


__all__ = ["KNOWN", "Catalog", "open_catalog"]

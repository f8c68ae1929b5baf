"""Catalogues of Sentinel-2: one way to open them, one way to ask."""

import os
from pathlib import Path
from urllib.parse import urlparse

from sits_data.access import KNOWN, known_catalog
from sits_data.catalog.api import ApiCatalog
from sits_data.catalog.base import Catalog as Catalog
from sits_data.catalog.items import on_web
from sits_data.catalog.static import StaticCatalog
from sits_data.errors import CatalogError

TABLES = (".parquet", ".geoparquet")
"""How the names of STAC GeoParquet files end."""


def open_catalog(source: str | Path) -> Catalog:
    """A catalogue by name, by address or by path.

    Args:
        source: a name (`earth-search`, `planetary-computer`, `cdse`); the address of a STAC API, of a
            static catalogue or of a STAC GeoParquet file; or the path to a `catalog.json`, a
            `collection.json`, the folder of either, a GeoJSON of items, or a `.parquet` file or folder.

    Raises:
        CatalogError: nothing is there, it is not STAC, or it does not answer.
    """
    known = known_catalog(str(source))
    address = known.address if known else str(source)
    if on_web(address):
        path = urlparse(address).path
        if path.endswith(TABLES):
            return _open_table(address)
        if path.endswith((".json", ".geojson")):
            return StaticCatalog.open(address)
        api = ApiCatalog.open(address, known.requests_per_second if known else None)
        return api or _open_pages(address)
    file = root_of(Path(address))
    if file.suffix in TABLES and file.exists():
        return _open_table(str(file))
    if not file.is_file():
        raise CatalogError(
            f"no catalogue at {source}; give a path to a catalog.json, an address, or one of: "
            f"{', '.join(KNOWN)}"
        )
    return StaticCatalog.open(str(file))


def root_of(path: Path) -> Path:
    """The absolute path to read: of a folder its `catalog.json` or `collection.json`, if it has one."""
    if path.suffix not in TABLES and os.access(path, os.X_OK):
        inside = (path / name for name in ("catalog.json", "collection.json"))
        path = next((file for file in inside if file.is_file()), path)
    return path.resolve()


def _open_pages(address: str) -> Catalog:
    catalog = StaticCatalog.open(address)
    if not catalog.contents:
        raise CatalogError(
            f"{address} is not a STAC catalogue (it has neither a search nor items); give a "
            "STAC API or a catalog.json"
        )
    return catalog


def _open_table(address: str) -> Catalog:
    # Arrow's tables take half a second to import, which no other catalogue needs.
    from sits_data.catalog.geoparquet import GeoParquetCatalog

    return GeoParquetCatalog.open(address)


__all__ = ["KNOWN", "Catalog", "open_catalog", "root_of"]

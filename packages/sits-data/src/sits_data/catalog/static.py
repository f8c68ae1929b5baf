"""A static catalogue: JSON files on a disk or a web server, or a GeoJSON of items."""

import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pystac
import shapely
from pystac.utils import make_absolute_href
from pystac_client.stac_api_io import StacApiIO
from shapely.geometry.base import BaseGeometry

from sits_data.catalog.base import one_line_errors, web_io
from sits_data.errors import CatalogError

THREADS = 16
"""Item files read at once; over a network each costs a round trip."""


@dataclass(frozen=True)
class StaticCatalog:
    """Every item, filtered here."""

    address: str
    items: tuple[pystac.Item, ...]

    @classmethod
    def open(cls, address: str) -> "StaticCatalog":
        """Read all items below a catalogue, a collection or a feature collection."""
        with one_line_errors(address):
            return cls(address, tuple(_Reader(web_io()).items(address)))

    def search(
        self, area: BaseGeometry, *, collection: str, start: date, end: date
    ) -> list[pystac.Item]:
        """See `Catalog.search`."""
        shapely.prepare(area)
        with one_line_errors(self.address):
            found = {
                item.id: item
                for item in self.items
                if item.collection_id in (None, collection)
                and item.datetime is not None
                and start <= item.datetime.astimezone(UTC).date() <= end
                and item.geometry is not None
                and area.intersects(shapely.geometry.shape(item.geometry))
            }
        return list(found.values())


@dataclass(frozen=True)
class _Reader:
    """Reads JSON from a disk or a web server and follows its links."""

    io: StacApiIO

    def items(self, address: str) -> Iterable[pystac.Item]:
        """All items at or below an address."""
        root = self.json(address)
        if root.get("type") == "FeatureCollection":
            return [_item(feature, address) for feature in root["features"]]
        if root.get("type") not in {"Catalog", "Collection"}:
            raise ValueError(f"its type is {root.get('type')!r}")
        hrefs = self.item_hrefs(root, address)
        with ThreadPoolExecutor(THREADS) as pool:
            contents = pool.map(self.json, hrefs)
            # pystac imports its extensions at the first item, which two threads may not do at once.
            return [_item(content, href) for content, href in zip(contents, hrefs, strict=True)]

    def item_hrefs(self, root: dict[str, Any], address: str) -> list[str]:
        """Addresses of the items of a catalogue and of all its children, each child asked once."""
        todo, seen, found = [(root, address)], {address}, dict[str, None]()
        while todo:
            catalog, home = todo.pop()
            found |= dict.fromkeys(_links(catalog, home, "item"))
            for href in _links(catalog, home, "child"):
                if href not in seen:
                    seen.add(href)
                    todo.append((self.json(href), href))
        return list(found)

    def json(self, href: str) -> dict[str, Any]:
        """The JSON object at an address."""
        text = self.io.read_text(href) if _on_web(href) else Path(href).read_text(encoding="utf-8")
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError(f"{href} holds no JSON object")
        return content


def _item(content: dict[str, Any], address: str) -> pystac.Item:
    item = pystac.Item.from_dict(content, href=address, preserve_dict=False)
    item.set_self_href(address)
    for asset in item.assets.values():
        asset.href = _absolute(asset.href, address)
    return item


def _links(catalog: dict[str, Any], home: str, rel: str) -> list[str]:
    """Addresses that a catalogue links to; what came from the web may not name local files."""
    links = [link for link in catalog.get("links", []) if link["rel"] == rel]
    hrefs = [_absolute(link["href"], home) for link in links]
    for href in hrefs:
        if _on_web(home) and not _on_web(href):
            raise CatalogError(
                f"{home} links to {href!r}, which is not on the web; use another catalogue"
            )
    return hrefs


def _absolute(href: str, home: str) -> str:
    """An address as the file at `home` means it; # and ? are plain characters in local names."""
    if _on_web(home) or urlparse(href).scheme:
        return make_absolute_href(href, home).removeprefix("file://")
    return os.path.normpath(Path(home).parent / href)


def _on_web(href: str) -> bool:
    return urlparse(href).scheme in {"http", "https"}

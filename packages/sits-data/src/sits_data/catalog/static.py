"""A static catalogue: JSON files on a disk or a web server, or a GeoJSON of items."""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pystac
from pystac_client.stac_api_io import StacApiIO
from shapely.geometry.base import BaseGeometry

from sits_data.catalog.base import one_line_errors, web_io
from sits_data.catalog.items import absolute, on_web, read_item
from sits_data.catalog.question import Question
from sits_data.errors import CatalogError

THREADS = 16
"""Item files read at once; over a network each costs a round trip."""

type Json = dict[str, Any]


@dataclass(frozen=True)
class StaticCatalog:
    """Every item as JSON with its address, filtered here."""

    address: str
    contents: tuple[tuple[str, Json], ...]

    @classmethod
    def open(cls, address: str) -> "StaticCatalog":
        """Read all items below a catalogue, a collection or a feature collection."""
        with one_line_errors(address):
            return cls(address, tuple(_Reader(web_io(address)).items(address)))

    def search(
        self,
        area: BaseGeometry,
        *,
        collection: str,
        start: date,
        end: date,
        max_cloud_pct: float = 100.0,
    ) -> list[pystac.Item]:
        """See `Catalog.search`."""
        question = Question(area, collection, start, end, max_cloud_pct)
        with one_line_errors(self.address):
            found = {item["id"]: (item, home) for home, item in self.contents if question.fits(item)}
            return [read_item(item, home) for item, home in found.values()]


@dataclass(frozen=True)
class _Reader:
    """Reads JSON from a disk or a web server and follows its links."""

    io: StacApiIO

    def items(self, address: str) -> Iterable[tuple[str, Json]]:
        """All items at or below an address."""
        root = self.json(address)
        if root.get("type") == "FeatureCollection":
            return [(address, feature) for feature in root["features"]]
        if root.get("type") not in {"Catalog", "Collection"}:
            raise ValueError(f"its type is {root.get('type')!r}")
        hrefs = self.item_hrefs(root, address)
        with ThreadPoolExecutor(THREADS) as pool:
            return list(zip(hrefs, pool.map(self.json, hrefs), strict=True))

    def item_hrefs(self, root: Json, address: str) -> list[str]:
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

    def json(self, href: str) -> Json:
        """The JSON object at an address."""
        text = self.io.read_text(href) if on_web(href) else Path(href).read_text(encoding="utf-8")
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError(f"{href} holds no JSON object")
        return content


def _links(catalog: Json, home: str, rel: str) -> list[str]:
    """Addresses that a catalogue links to; what came from the web may not name local files."""
    links = [link for link in catalog.get("links", []) if link["rel"] == rel]
    hrefs = [absolute(link["href"], home) for link in links]
    for href in hrefs:
        if on_web(home) and not on_web(href):
            raise CatalogError(
                f"{home} links to {href!r}, which is not on the web; use another catalogue"
            )
    return hrefs

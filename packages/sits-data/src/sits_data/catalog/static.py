"""A static catalogue: JSON files on a disk or a web server, or a GeoJSON of items."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date

import pystac
import pystac.utils
import shapely
from shapely.geometry.base import BaseGeometry

from sits_data.catalog.base import one_line_errors

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
            io = pystac.StacIO.default()
            content = io.read_json(address)
            if content.get("type") == "FeatureCollection":
                return cls(address, tuple(_absolute(content["features"], address)))
            root = pystac.read_dict(content, href=address)
            if not isinstance(root, pystac.Catalog):
                raise ValueError(f"type is {content.get('type')!r}")
            root.set_self_href(address)
            return cls(address, tuple(_crawl(root)))

    def search(
        self, area: BaseGeometry, *, collection: str, start: date, end: date
    ) -> list[pystac.Item]:
        """See `Catalog.search`."""
        shapely.prepare(area)
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


def _crawl(root: pystac.Catalog) -> Iterable[pystac.Item]:
    hrefs = [
        link.get_absolute_href() for catalog, _, _ in root.walk() for link in catalog.get_links("item")
    ]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(_read_item, (href for href in hrefs if href)))


def _read_item(href: str) -> pystac.Item:
    item = pystac.Item.from_dict(pystac.StacIO.default().read_json(href), href=href)
    item.set_self_href(href)
    return item


def _absolute(features: list[dict[str, object]], address: str) -> Iterable[pystac.Item]:
    for feature in features:
        item = pystac.Item.from_dict(feature, preserve_dict=False)
        for asset in item.assets.values():
            asset.href = pystac.utils.make_absolute_href(asset.href, address)
        yield item

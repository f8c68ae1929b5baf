"""A STAC API, such as Earth Search."""

from dataclasses import dataclass
from datetime import date

import pystac
import shapely
from pystac_client import Client
from shapely.geometry.base import BaseGeometry

from sits_data.catalog.base import one_line_errors, web_io


@dataclass(frozen=True)
class ApiCatalog:
    """A STAC API: it filters, we page."""

    address: str
    client: Client

    @classmethod
    def open(cls, address: str) -> "ApiCatalog":
        """Connect to an API."""
        with one_line_errors(address):
            return cls(address, Client.open(address, stac_io=web_io()))

    def search(
        self, area: BaseGeometry, *, collection: str, start: date, end: date
    ) -> list[pystac.Item]:
        """See `Catalog.search`."""
        with one_line_errors(self.address):
            found = self.client.search(
                collections=[collection],
                intersects=shapely.geometry.mapping(area),
                datetime=f"{start.isoformat()}T00:00:00Z/{end.isoformat()}T23:59:59.999Z",
                limit=100,
            )
            items = {item.id: item for item in found.items()}
        for item in items.values():
            # Whatever its links say, the item came from this address, and is trusted no further.
            item.set_self_href(f"{self.address.rstrip('/')}/collections/{collection}/items/{item.id}")
        return list(items.values())

"""A STAC API, such as Earth Search."""

from dataclasses import dataclass
from datetime import date

import pystac
import shapely
from pystac_client import Client
from pystac_client.stac_api_io import StacApiIO
from shapely.geometry.base import BaseGeometry
from urllib3 import Retry

from sits_data.catalog.base import one_line_errors

RETRIES = Retry(total=4, backoff_factor=0.5, status_forcelist=(429, 502, 503, 504), allowed_methods=None)
TIMEOUT_S = (10, 60)
"""Seconds to connect and to answer."""


@dataclass(frozen=True)
class ApiCatalog:
    """A STAC API: it filters, we page."""

    address: str
    client: Client

    @classmethod
    def open(cls, address: str) -> "ApiCatalog":
        """Connect to an API."""
        with one_line_errors(address):
            io = StacApiIO(max_retries=RETRIES, timeout=TIMEOUT_S)
            return cls(address, Client.open(address, stac_io=io))

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
            return list({item.id: item for item in found.items()}.values())

"""A STAC API, such as Earth Search, Planetary Computer or the Copernicus Data Space."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import pystac
import shapely
from pystac_client import Client
from pystac_client.conformance import ConformanceClasses
from pystac_client.item_search import ItemSearch
from pystac_client.stac_api_io import StacApiIO
from shapely.geometry.base import BaseGeometry

from sits_data.catalog.base import one_line_errors, web_io
from sits_data.catalog.items import make_item
from sits_data.catalog.question import CLOUD, Question
from sits_data.errors import CatalogError

PAGE = 100
"""Items asked for at once."""

LONGEST_QUERY = 2000
"""Characters of an area in the address of a GET; of a longer one the bounds are asked for."""

BARREN_PAGES = 20
"""So many pages in a row without a new item, and the server is going in circles."""

_CLASSES = (ConformanceClasses.ITEM_SEARCH, ConformanceClasses.FILTER, ConformanceClasses.QUERY)

type Filtering = Literal["cql2", "query", "here"]
"""Who drops cloudy items: the server by a CQL2 filter or by `query`, or we."""


@dataclass(frozen=True)
class ApiCatalog:
    """A STAC API: it filters as well as it says it can, we page, and check every item."""

    address: str
    client: Client
    io: StacApiIO

    @classmethod
    def open(cls, address: str, requests_per_second: int | None = None) -> "ApiCatalog | None":
        """Connect to an API; None when the address holds STAC that cannot be searched."""
        with one_line_errors(address):
            io = web_io(address, requests_per_second)
            root = io.read_json(address)
            if root.get("type", "Catalog") != "Catalog":
                return None
            client = Client.from_dict(root, href=address)
            # Else pystac asks for it again, by ways of its own.
            client.set_root(client)
            # pystac-client looks for version 1.0 of each class, and servers move on.
            for part in _CLASSES:
                if any(part.value in uri for uri in client.get_conforms_to()):
                    client.add_conforms_to(part.name)
            if not client.conforms_to(ConformanceClasses.ITEM_SEARCH):
                return None
            return cls(address, client, io)

    @property
    def method(self) -> Literal["GET", "POST"]:
        """POST where the API offers it: an area fits any body, but not any address."""
        links = self.client.get_links("search")
        return "POST" if any(link.extra_fields.get("method") == "POST" for link in links) else "GET"

    @property
    def filtering(self) -> Filtering:
        """The best filter that the API advertises."""
        language = "cql2-json" if self.method == "POST" else "cql2-text"
        if self.client.conforms_to(ConformanceClasses.FILTER) and any(
            uri.endswith(f"/{language}") for uri in self.client.get_conforms_to()
        ):
            return "cql2"
        return "query" if self.client.conforms_to(ConformanceClasses.QUERY) else "here"

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
        home = f"{self.address.rstrip('/')}/collections/{collection}/items"
        with one_line_errors(self.address):
            found = {item["id"]: item for item in self._items(question) if question.fits(item)}
            # Whatever its links say, an item came from this address, and is trusted no further.
            return [make_item(item, f"{home}/{id_}") for id_, item in found.items()]

    def _items(self, question: Question) -> Iterator[dict[str, Any]]:
        """Every item that the API has for a question, perhaps several times."""
        seen = set[str]()
        barren = 0
        for page in self._pages(self._ask(question)):
            yield from page["features"]
            ids = {item["id"] for item in page["features"]}
            barren = 0 if ids - seen else barren + 1
            seen |= ids
            if barren == BARREN_PAGES:
                raise CatalogError(
                    f"the catalogue {self.address} gives page after page without a new item; report it "
                    "to its makers, or choose another with --catalog or SITS_CATALOG"
                )

    def _pages(self, search: ItemSearch) -> Iterator[dict[str, Any]]:
        """Pages to the last one; an empty page may lie between."""
        asked = search.get_parameters()
        page = self.io.read_json(search.url, method=search.method, parameters=asked)
        while True:
            yield page
            link = next((link for link in page.get("links", []) if link["rel"] == "next"), None)
            if link is None:
                return
            page = self.io.read_json(pystac.Link.from_dict(link), parameters=asked)

    def _ask(self, question: Question) -> ItemSearch:
        place: dict[str, Any] = {"intersects": shapely.geometry.mapping(question.area)}
        if self.method == "GET" and len(json.dumps(place)) > LONGEST_QUERY:
            place = {"bbox": question.area.bounds}
        return self.client.search(
            method=self.method,
            collections=[question.collection],
            datetime=question.interval,
            limit=PAGE,
            **place,
            **(self._cloud_filter(question.max_cloud_pct) if question.limits_clouds else {}),
        )

    def _cloud_filter(self, max_pct: float) -> dict[str, Any]:
        if self.filtering == "query":
            return {"query": {CLOUD: {"lte": max_pct}}}
        if self.filtering == "here":
            return {}
        if self.method == "GET":
            return {"filter": f'"{CLOUD}" <= {max_pct:g}', "filter_lang": "cql2-text"}
        args = [{"property": CLOUD}, max_pct]
        return {"filter": {"op": "<=", "args": args}, "filter_lang": "cql2-json"}

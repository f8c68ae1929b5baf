"""Enough of a STAC API for pystac-client, on 127.0.0.1: search with paging, files with ranges."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self
from urllib.parse import parse_qs, urlparse

import shapely

CONFORMS = [f"https://api.stacspec.org/v1.0.0/{name}" for name in ("core", "collections", "item-search")]
GEOJSON = "application/geo+json"


@dataclass
class StacServer:
    """Serves the items below a folder.

    Args:
        folder: where the files of items and rasters lie.
        page: items a page.
        repeat: every page also repeats the last item of the page before.
        failures: how many coming searches are answered 503.
        items: what it knows, hrefs relative to the item's file.
        log: method and path of every request.
    """

    folder: Path
    page: int = 2
    repeat: bool = False
    failures: int = 0
    items: list[dict[str, Any]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path) -> Self:
        server = cls(folder)
        for path in sorted(folder.glob("items/*/item.json")):
            item = json.loads(path.read_text())
            item["home"] = path.parent.relative_to(folder).as_posix()
            server.items.append(item)
        return server

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"stac": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def item(self, stored: dict[str, Any]) -> dict[str, Any]:
        """An item as the API gives it: absolute addresses."""
        item = {key: value for key, value in stored.items() if key != "home"}
        base = f"{self.url}/files/{stored['home']}/"
        item["assets"] = {
            key: asset | {"href": _absolute(asset["href"], base)}
            for key, asset in stored["assets"].items()
        }
        return item

    def search(self, query: dict[str, Any]) -> dict[str, Any]:
        area = query.get("intersects")
        area = shapely.geometry.shape(json.loads(area) if isinstance(area, str) else area)
        first, last = (day[:10] for day in query["datetime"].split("/"))
        found = [
            item
            for item in self.items
            if first <= item["properties"]["datetime"][:10] <= last
            and shapely.geometry.shape(item["geometry"]).intersects(area)
        ]
        at = int(query.get("token", 0))
        start = max(0, at - 1) if self.repeat else at
        page = {
            "type": "FeatureCollection",
            "features": [self.item(item) for item in found[start : at + self.page]],
            "links": [],
        }
        if at + self.page < len(found):
            page["links"] = [{
                "rel": "next", "href": f"{self.url}/search", "method": "POST", "merge": True,
                "body": {"token": str(at + self.page)}, "type": GEOJSON,
            }]  # fmt: skip
        return page

    def landing(self) -> dict[str, Any]:
        return {
            "type": "Catalog", "stac_version": "1.1.0", "id": "api", "description": "tiny API",
            "conformsTo": CONFORMS,
            "links": [
                {"rel": "self", "href": self.url},
                {"rel": "root", "href": self.url},
                {"rel": "data", "href": f"{self.url}/collections"},
                {"rel": "search", "href": f"{self.url}/search", "method": "GET", "type": GEOJSON},
                {"rel": "search", "href": f"{self.url}/search", "method": "POST", "type": GEOJSON},
            ],
        }  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    stac: StacServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._file(body=False)

    def do_GET(self) -> None:
        self.stac.log.append(f"GET {self.path}")
        url = urlparse(self.path)
        if url.path == "/":
            self._json(self.stac.landing())
        elif url.path == "/search":
            self._search({key: values[0] for key, values in parse_qs(url.query).items()})
        elif url.path.startswith("/files/"):
            self._file()
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        self.stac.log.append(f"POST {self.path}")
        self._search(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _search(self, query: dict[str, Any]) -> None:
        if self.stac.failures:
            self.stac.failures -= 1
            self.send_error(503)
        else:
            self._json(self.stac.search(query))

    def _json(self, content: object) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _file(self, *, body: bool = True) -> None:
        path = self.stac.folder / self.path.removeprefix("/files/")
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        headers = {"Accept-Ranges": "bytes"}
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            data = data[first : last + 1]
        self._send(206 if asked else 200, data, headers, body=body)

    def _send(self, status: int, data: bytes, headers: dict[str, str], *, body: bool = True) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def _absolute(href: str, base: str) -> str:
    return base + href.removeprefix("./") if href.startswith("./") else href


@contextmanager
def serve_pages(pages: dict[str, bytes]) -> Iterator[str]:
    """Serve fixed content by path; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path in pages else 404)
            self.end_headers()
            self.wfile.write(pages.get(self.path, b""))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()

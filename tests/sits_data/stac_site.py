"""STAC APIs in the dialects of the known catalogues: stac-fastapi in a process of its own.

    http://127.0.0.1:PORT/earth-search         `query`, no CQL2
    http://127.0.0.1:PORT/planetary-computer   CQL2, no `query`; its blobs need a token
    http://127.0.0.1:PORT/cdse                 CQL2 and `query`; 5 requests a second, then 429
    http://127.0.0.1:PORT/plain                GET only, no filter at all
    http://127.0.0.1:PORT/cql2-text            GET only, CQL2 as text

Beside them: `/sas` gives tokens, `/blobs` wants them, `/s3` wants keys, `/files` is open to all;
rasters are served with range requests. `/log` tells what was asked; POST `/settings` changes
`Settings`.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

type Json = dict[str, Any]
DIALECTS = {
    "earth-search": ("query",),
    "planetary-computer": ("cql2-json", "cql2-text"),
    "cdse": ("query", "cql2-json", "cql2-text"),
    "plain": (),
    "cql2-text": ("cql2-text",),
}
GET_ONLY = ("plain", "cql2-text")
LIMIT = 5
"""Requests a second that `/cdse` answers."""


@dataclass
class Settings:
    """What a test may change.

    Args:
        token_life_s: of tokens from `/sas`.
        token_reads: requests for which a token is good before it is refused.
        busy: how many coming requests for tokens or searches are answered 429.
        retry_after: what these and the answers over the limit say; seconds, or a date for `date`.
        revoked: every token given so far is refused.
    """

    token_life_s: float = 3600
    token_reads: int | None = None
    busy: int = 0
    retry_after: str = "1"
    revoked: bool = False


@dataclass
class State:
    settings: Settings = field(default_factory=Settings)
    log: list[Json] = field(default_factory=list)
    given: dict[str, float] = field(default_factory=dict)
    reads: Counter[str] = field(default_factory=Counter)


def matching(items: list[Json], asked: Mapping[str, Any]) -> list[Json]:
    """The items that a search asks for."""
    import shapely
    from cql2 import Expr
    from stac_fastapi.types.rfc3339 import str_to_interval

    found = items
    if names := asked.get("collections"):
        found = [item for item in found if item["collection"] in names]
    if ids := asked.get("ids"):
        found = [item for item in found if item["id"] in ids]
    if area := asked.get("intersects"):
        place = shapely.geometry.shape(area)
        found = [i for i in found if shapely.geometry.shape(i["geometry"]).intersects(place)]
    elif box := asked.get("bbox"):
        west, south, east, north = box if len(box) == 4 else (*box[:2], *box[3:5])
        place = shapely.box(west, south, east, north)
        found = [i for i in found if shapely.geometry.shape(i["geometry"]).intersects(place)]
    if when := asked.get("datetime"):
        interval = str_to_interval(when)
        first, last = interval if isinstance(interval, tuple) else (interval, interval)
        found = [
            item
            for item in found
            if (first is None or first <= _moment(item)) and (last is None or _moment(item) <= last)
        ]
    for name, conditions in (asked.get("query") or {}).items():
        for operator, value in conditions.items():
            found = [i for i in found if _holds(i["properties"].get(name), operator, value)]
    if wanted := asked.get("filter"):
        found = [item for item in found if Expr(wanted).matches(item)]
    for key in reversed(asked.get("sortby") or []):
        name = key["field"].removeprefix("properties.")
        found = sorted(found, key=lambda item: item["properties"].get(name, item.get(name)),
                       reverse=key["direction"] == "desc")  # fmt: skip
    return found


def _moment(item: Json) -> datetime:
    return datetime.fromisoformat(item["properties"]["datetime"])


def _holds(value: Any, operator: str, other: Any) -> bool:
    from fastapi import HTTPException

    tests: dict[str, Callable[[], bool]] = {
        "lt": lambda: value < other, "lte": lambda: value <= other, "gt": lambda: value > other,
        "gte": lambda: value >= other, "eq": lambda: value == other, "neq": lambda: value != other,
        "in": lambda: value in other, "startsWith": lambda: value.startswith(other),
        "endsWith": lambda: value.endswith(other), "contains": lambda: other in value,
    }  # fmt: skip
    if operator not in tests:
        raise HTTPException(400, f"unknown operator {operator}")
    return value is not None and tests[operator]()


def only_fields(item: Json, wanted: Mapping[str, Any]) -> Json:
    """The item with the fields that were asked for."""
    include, exclude = set(wanted.get("include") or ()), set(wanted.get("exclude") or ())
    if include:
        always = {"id", "type", "collection", "geometry", "bbox", "stac_version", "links", "assets"}
        kept = {n.removeprefix("properties.") for n in include if n.startswith("properties.")}
        names = {"datetime"} if include and "datetime" in include else set()
        properties = {k: v for k, v in item["properties"].items() if k in kept | names}
        item = {key: value for key, value in item.items() if key in include | always}
        item["properties"] = properties
    return {key: value for key, value in item.items() if key not in exclude}


def make_api(dialect: str, items: list[Json]) -> Any:
    """The FastAPI application of a dialect."""
    from stac_fastapi.api.app import StacApi as Api
    from stac_fastapi.api.models import create_get_request_model, create_post_request_model
    from stac_fastapi.extensions.fields import FieldsExtension
    from stac_fastapi.extensions.filter import SearchFilterExtension
    from stac_fastapi.extensions.pagination import TokenPaginationExtension
    from stac_fastapi.extensions.query import QueryExtension
    from stac_fastapi.extensions.sort import SortExtension
    from stac_fastapi.types.config import ApiSettings

    knows = DIALECTS[dialect]
    extensions: list[Any] = [FieldsExtension(), SortExtension(), TokenPaginationExtension()]
    if "query" in knows:
        extensions.append(QueryExtension())
    if {"cql2-json", "cql2-text"} & set(knows):
        cql2 = SearchFilterExtension()
        cql2.conformance_classes = [
            uri
            for uri in cql2.conformance_classes
            if not uri.endswith(("cql2-json", "cql2-text")) or uri.endswith(knows)
        ]
        extensions.append(cql2)
    return Api(
        settings=ApiSettings(enable_response_models=False),
        client=_client(dialect, items, extensions),
        extensions=extensions,
        search_get_request_model=create_get_request_model(extensions),
        search_post_request_model=create_post_request_model(extensions),
    ).app


def _client(dialect: str, items: list[Json], extensions: list[Any]) -> Any:
    import attr
    from stac_fastapi.types.core import BaseCoreClient
    from stac_fastapi.types.errors import NotFoundError

    @attr.s
    class Client(BaseCoreClient):
        def landing_page(self, **kwargs: Any) -> Any:
            page = super().landing_page(**kwargs)
            if dialect in GET_ONLY:
                page["links"] = [link for link in page["links"] if link.get("method") != "POST"]
            return page

        def all_collections(self, **kwargs: Any) -> Any:
            names = sorted({item["collection"] for item in items})
            found = [self.get_collection(name, **kwargs) for name in names]
            return {"collections": found, "links": []}

        def get_collection(self, collection_id: str, **kwargs: Any) -> Any:
            if not any(item["collection"] == collection_id for item in items):
                raise NotFoundError(collection_id)
            base = str(kwargs["request"].base_url).rstrip("/")
            home = f"{base}/collections/{collection_id}"
            return {
                "type": "Collection", "stac_version": "1.0.0", "id": collection_id,
                "description": "synthetic", "license": "other",
                "extent": {
                    "spatial": {"bbox": [[-180, -90, 180, 90]]},
                    "temporal": {"interval": [[None, None]]},
                },
                "links": [
                    {"rel": "self", "href": home}, {"rel": "root", "href": base},
                    {"rel": "parent", "href": base}, {"rel": "items", "href": f"{home}/items"},
                ],
            }  # fmt: skip

        def get_item(self, item_id: str, collection_id: str, **kwargs: Any) -> Any:
            asked = {"ids": [item_id], "collections": [collection_id]}
            if not (found := matching(items, asked)):
                raise NotFoundError(item_id)
            return found[0]

        def item_collection(self, collection_id: str, **kwargs: Any) -> Any:
            return self._page({"collections": [collection_id]} | kwargs, kwargs["request"])

        def post_search(self, search_request: Any, **kwargs: Any) -> Any:
            asked = search_request.model_dump(exclude_none=True, by_alias=True, mode="json")
            return self._page(asked, kwargs["request"])

        def get_search(self, **kwargs: Any) -> Any:
            asked = {k: v for k, v in kwargs.items() if v is not None and k != "request"}
            for name in ("intersects", "query"):
                if isinstance(asked.get(name), str):
                    asked[name] = json.loads(asked[name])
            if text := asked.pop("filter_expr", None):
                as_json = asked.pop("filter_lang", None) == "cql2-json"
                asked["filter"] = json.loads(text) if as_json else text
            if keys := asked.get("sortby"):
                asked["sortby"] = [
                    {"field": k.lstrip("+-"), "direction": "desc" if k.startswith("-") else "asc"}
                    for k in keys
                ]
            if names := asked.get("fields"):
                asked["fields"] = {
                    "include": [n.lstrip("+") for n in names if not n.startswith("-")],
                    "exclude": [n[1:] for n in names if n.startswith("-")],
                }
            return self._page(asked, kwargs["request"])

        def _page(self, asked: Json, request: Any) -> Any:
            found = matching(items, asked)
            limit = asked.get("limit") or 10
            start = int((asked.get("token") or "o:0")[2:])
            page = found[start : start + limit]
            links: list[Json] = []
            if start + limit < len(found):
                token = f"o:{start + limit}"
                base = str(request.base_url).rstrip("/")
                if request.method == "POST":
                    links = [{
                        "rel": "next", "method": "POST", "href": f"{base}/search", "merge": True,
                        "body": {"token": token},
                    }]  # fmt: skip
                else:
                    href = str(request.url.include_query_params(token=token))
                    links = [{"rel": "next", "method": "GET", "href": href}]
            return {
                "type": "FeatureCollection", "links": links,
                "features": [only_fields(item, asked.get("fields") or {}) for item in page],
                "numberMatched": len(found), "numberReturned": len(page),
            }  # fmt: skip

    return Client(extensions=extensions)


def make_site(items: Mapping[str, list[Json]], folder: Path) -> Any:
    """All dialects, tokens and files as one ASGI application."""
    from starlette.applications import Starlette
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    state = State()

    def refused(status: int) -> Response:
        after = state.settings.retry_after
        if after == "date":
            after = f"{datetime.now(UTC) + timedelta(seconds=2):%a, %d %b %Y %H:%M:%S GMT}"
        return Response("slow down", status, {"Retry-After": after} if after else {})

    def too_fast() -> bool:
        recent = [e for e in state.log if e["path"].startswith("/cdse") and e["status"] < 400]
        return len(recent) >= LIMIT and time.time() - recent[-LIMIT]["time"] < 1

    async def answer(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        path = request.url.path
        if path in {"/log", "/settings"}:
            return await call(request)
        began = time.time()
        body = (await request.body()).decode() if request.method == "POST" else ""
        if path.startswith("/cdse") and too_fast():
            response = refused(429)
        elif state.settings.busy and path.startswith("/sas") | path.endswith("/search"):
            state.settings.busy -= 1
            response = refused(429)
        else:
            response = await call(request)
        state.log.append({
            "path": path, "method": request.method, "status": response.status_code, "time": began,
            "query": request.url.query, "body": body,
            "key": request.headers.get("Ocp-Apim-Subscription-Key"),
        })  # fmt: skip
        return response

    def sas(request: Request) -> Response:
        token = f"sig={len(state.given)}-{request.path_params['container']}"
        ends = time.time() + state.settings.token_life_s
        state.given[token] = ends
        expiry = datetime.fromtimestamp(ends, UTC).isoformat().replace("+00:00", "Z")
        return JSONResponse({"token": token, "msft:expiry": expiry})

    def log(request: Request) -> Response:
        return JSONResponse(state.log)

    async def settings(request: Request) -> Response:
        given = await request.json()
        assert set(given) <= {f.name for f in fields(Settings)}
        if not given.get("revoked"):
            state.given.clear()
            state.reads.clear()
        state.settings = Settings(**given)
        if state.settings.revoked:
            state.given = dict.fromkeys(state.given, 0.0)
        state.log.clear()
        return Response()

    class Guarded(StaticFiles):
        """Files for those whose request passes a test."""

        def __init__(self, allows: Callable[[Mapping[bytes, bytes], str], bool]) -> None:
            super().__init__(directory=folder)
            self.allows = allows

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if self.allows(dict(scope["headers"]), scope["query_string"].decode()):
                await super().__call__(scope, receive, send)
            else:
                await Response("denied", 403)(scope, receive, send)

    def has_token(headers: Mapping[bytes, bytes], query: str) -> bool:
        state.reads[query] += 1
        worn = state.settings.token_reads is not None and state.reads[query] > state.settings.token_reads
        return state.given.get(query, 0) > time.time() and not worn

    def has_keys(headers: Mapping[bytes, bytes], query: str) -> bool:
        signature = headers.get(b"authorization", b"").decode()
        return signature.startswith("AWS4-HMAC-SHA256 Credential=KEY/") and "/default/s3/" in signature

    rest = Starlette(
        routes=[
            Route("/log", log),
            Route("/settings", settings, methods=["POST"]),
            Route("/sas/{account}/{container}", sas),
            Mount("/files", StaticFiles(directory=folder)),
            Mount("/blobs", Guarded(has_token)),
            Mount("/eodata", Guarded(has_keys)),
        ]
    )
    apis = {f"/{name}": make_api(name, found) for name, found in items.items()}

    async def site(scope: Any, receive: Any, send: Any) -> None:
        """As behind a proxy: each API thinks that its prefix is its root, which a mount would hide."""
        prefix = f"/{scope['path'].split('/')[1]}"
        if api := apis.get(prefix):
            await api(scope | {"root_path": prefix}, receive, send)
        else:
            await rest(scope, receive, send)

    return BaseHTTPMiddleware(site, dispatch=answer)


if __name__ == "__main__":
    import uvicorn

    number, source, home = sys.argv[1:]
    everything = json.loads(Path(source).read_text())
    uvicorn.run(make_site(everything, Path(home)), host="127.0.0.1", port=int(number),
                log_level="warning", lifespan="off")  # fmt: skip

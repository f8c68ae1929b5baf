"""From a request to a frozen plan: search, normalise, decide the offsets, drop, group by solar day."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pystac
from shapely.geometry.base import BaseGeometry

from sits_data.catalog import open_catalog
from sits_data.errors import EmptySearch, InvalidRequest, UnknownRadiometry
from sits_data.plan import CubePlan, Request, make_plan
from sits_data.radiometry import Radiometry, baseline_of, radiometry
from sits_data.scenes import (
    Dropped,
    Scene,
    drop_reprocessed,
    find_assets,
    make_scene,
    solar_days,
)

Search = Callable[[Request], Sequence[pystac.Item]]


def search_items(request: Request, area: BaseGeometry | None = None) -> list[pystac.Item]:
    """What the catalogue has for a request.

    Args:
        request: catalogue, collection and dates; and the place.
        area: in degrees; None is the grid's footprint.

    Raises:
        CatalogError: the catalogue does not answer.
    """
    return open_catalog(request.catalog).search(
        request.grid.footprint if area is None else area,
        collection=request.collection,
        start=request.start,
        end=request.end,
    )


def plan_cube(request: Request, search: Search = search_items) -> CubePlan:
    """Ask the catalogue and freeze its answer.

    Args:
        request: what to build.
        search: gives the items.

    Raises:
        CatalogError: the catalogue does not answer.
        EmptySearch: no scene fits.
        MissingBand: an item lacks a band.
        UnknownRadiometry: nothing tells an item's offset.
    """
    check_request(request)
    footprint = request.grid.footprint
    scenes = [_scene(item, request) for item in search(request)]
    kept, dropped = drop_reprocessed(scenes)
    cloudy = [s for s in kept if (s.cloud_pct or 0) > request.max_cloud_pct]
    dropped += [Dropped(s.id, f"cloud cover {s.cloud_pct:.0f} %") for s in cloudy]
    if len(cloudy) == len(kept):
        raise EmptySearch(_nothing_found(request, len(cloudy)))
    used = [s for s in kept if (s.cloud_pct or 0) <= request.max_cloud_pct]
    days = solar_days(used, footprint.centroid.x, request.grid.crs)
    return make_plan(request, days, dropped, datetime.now(UTC))


def check_request(request: Request) -> None:
    """Refuse a request that contradicts itself.

    Raises:
        InvalidRequest: it does.
    """
    if request.start > request.end:
        raise InvalidRequest(
            f"the first day must not be after the last, got {request.start} to {request.end};"
            " swap --start and --end"
        )


def _scene(item: pystac.Item, request: Request) -> Scene:
    assets = find_assets(item, request.bands)
    found = {
        radiometry(
            item.collection_id,
            item.properties,
            assets[band].to_dict(),
            assume_offset_dn=request.assume_offset_dn,
        )
        for band in request.bands
    }
    if len({offset.offset_dn for offset in found}) > 1:
        raise UnknownRadiometry(
            f"item {item.id} gives its bands different offsets ({sorted(found)}); "
            "leave it out or report it to its catalogue"
        )
    offset: Radiometry = min(found)
    return make_scene(
        item,
        assets,
        offset_dn=offset.offset_dn,
        offset_source=offset.source,
        baseline=baseline_of(item.properties),
    )


def _nothing_found(request: Request, cloudy: int) -> str:
    where = ", ".join(f"{degrees:.4f}" for degrees in request.grid.footprint.bounds)
    asked = f"{request.catalog}, {request.collection}, {request.start} to {request.end}, {where}"
    if cloudy:
        return (
            f"all {cloudy} scenes found are cloudier than {request.max_cloud_pct:g} % ({asked}); "
            "raise --max-cloud"
        )
    return f"no scenes found ({asked}); widen --start and --end, or check --aoi and --catalog"

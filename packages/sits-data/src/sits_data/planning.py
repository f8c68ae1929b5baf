"""From a request to a frozen plan: search, normalise, decide the offsets, drop, group by solar day."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pystac
from shapely.geometry.base import BaseGeometry

from sits_data.access import access_of
from sits_data.bands import BANDS, find_asset
from sits_data.catalog import open_catalog
from sits_data.errors import EmptySearch, InvalidRequest, UnknownRadiometry
from sits_data.pixeltest import TEST_BANDS, Sample
from sits_data.plan import CubePlan, Request, make_plan
from sits_data.radiometry import Radiometry, baseline_of, radiometry
from sits_data.rasters import RasterReader
from sits_data.sampling import sample_pixels
from sits_data.scenes import (
    Dropped,
    Scene,
    drop_reprocessed,
    find_assets,
    make_scene,
    solar_days,
)
from sits_data.suspects import settle_offsets

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
    """Ask the catalogue and freeze its answer; scenes whose metadata cannot be trusted are looked at.

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
    found = [_Candidate.of(item, request) for item in search(request)]
    kept, dropped = drop_reprocessed(candidate.scene for candidate in found)
    cloudy = [s for s in kept if (s.cloud_pct or 0) > request.max_cloud_pct]
    dropped += [Dropped(s.id, f"cloud cover {s.cloud_pct:.0f} %") for s in cloudy]
    if len(cloudy) == len(kept):
        raise EmptySearch(_nothing_found(request, len(cloudy)))
    used = [s for s in kept if (s.cloud_pct or 0) <= request.max_cloud_pct]
    settled = _settle(used, found, request)
    days = solar_days(settled, footprint.centroid.x, request.grid.crs)
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


@dataclass(frozen=True)
class _Candidate:
    """An item that was found: its scene, and whether the pixels must be asked for its offset."""

    item: pystac.Item
    scene: Scene
    suspect: bool

    @classmethod
    def of(cls, item: pystac.Item, request: Request) -> "_Candidate":
        assets = find_assets(item, request.bands)
        offset = _offset(item, [assets[band] for band in request.bands], request)
        scene = make_scene(
            item,
            assets,
            offset_dn=offset.offset_dn,
            offset_source=offset.source,
            baseline=baseline_of(item.properties),
        )
        return cls(item, scene, offset.suspect)

    def for_test(self, bands: Sequence[str]) -> Scene:
        """The same scene with the addresses of other bands."""
        scene = self.scene
        return make_scene(
            self.item,
            find_assets(self.item, bands),
            offset_dn=scene.offset_dn,
            offset_source=scene.offset_source,
            baseline=scene.baseline,
        )


def _offset(item: pystac.Item, assets: Sequence[pystac.Asset], request: Request) -> Radiometry:
    """The offset that all reflectance assets of an item carry."""
    try:
        found = {
            radiometry(
                item.collection_id,
                item.properties,
                asset.to_dict(),
                assume_offset_dn=request.assume_offset_dn,
            )
            for asset in assets
        }
    except UnknownRadiometry as error:
        raise UnknownRadiometry(f"item {item.id}: {error}") from error
    if len({offset.offset_dn for offset in found}) > 1:
        raise UnknownRadiometry(
            f"item {item.id} gives its bands different offsets ({sorted(found)}); "
            "leave it out or report it to its catalogue"
        )
    return min(found)


def _settle(scenes: list[Scene], found: Sequence[_Candidate], request: Request) -> list[Scene]:
    """Ask the pixels of suspect scenes."""
    candidates = {candidate.scene.id: candidate for candidate in found}
    suspects = {name for name, candidate in candidates.items() if candidate.suspect}
    if not suspects:
        return scenes
    everywhere = [b for b in TEST_BANDS if all(_offers(c.item, b) for c in candidates.values())]
    bands = everywhere or request.bands
    reader = RasterReader(access=access_of(request.catalog))

    def look(scene: Scene) -> Sample:
        tested = candidates[scene.id].for_test(bands)
        return sample_pixels(tested, request.grid, bands, reader=reader)

    return settle_offsets(scenes, suspects, look)


def _offers(item: pystac.Item, band: str) -> bool:
    return find_asset(item.assets, BANDS[band].asset_keys()) is not None


def _nothing_found(request: Request, cloudy: int) -> str:
    where = ", ".join(f"{degrees:.4f}" for degrees in request.grid.footprint.bounds)
    asked = f"{request.catalog}, {request.collection}, {request.start} to {request.end}, {where}"
    if cloudy:
        return (
            f"all {cloudy} scenes found are cloudier than {request.max_cloud_pct:g} % ({asked}); "
            "raise --max-cloud"
        )
    return f"no scenes found ({asked}); widen --start and --end, or check --aoi and --catalog"

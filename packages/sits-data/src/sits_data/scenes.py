"""A catalogue's item as one `Scene`, whatever the catalogue calls things; duplicates; solar days."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple
from urllib.parse import urlparse

import pystac
from pydantic import BaseModel, ValidationError

from sits_data.bands import BANDS, SCL_ASSET_KEYS, find_asset
from sits_data.errors import CatalogError, MissingBand

SCL_KEY = "scl"
"""Under which a scene's `hrefs` hold the scene classification."""

SAME_COVER_PCT = 1.0
"""No-data of two processings of the same datastrip differs by less; real ones by up to 0.1 %."""

WHOLE_TILE_NODATA_PCT = 0.1
"""A product with no more no-data than this shows all of its tile."""

_COMPACT_TIME = re.compile(r"\d{8}T\d{6}")
_STRIP_START = re.compile(r"_S(\d{8}T\d{6})")


class Scene(BaseModel, frozen=True):
    """One product of one tile, with what reading and provenance need.

    Args:
        id: the item's id.
        href: the item's own address, None when it is not known.
        datetime: acquisition, UTC.
        hrefs: band id → address of its raster; `scl` → that of the scene classification.
        crs: such as `EPSG:32631`, None when the item does not say.
        offset_dn: offset inside the numbers of the reflectance bands, 0 or -1000.
        offset_source: what says so.
        acquisition: equal for all products of one pass over one tile.
        version: orders its processings, the latest last.
        strip: tells the datastrips of a pass apart, each of which may cover a part of the tile; equal
            for two processings of the same one.
    """

    id: str
    href: str | None = None
    datetime: datetime
    hrefs: dict[str, str]
    crs: str | None
    offset_dn: int
    offset_source: str
    acquisition: str
    version: tuple[str, ...]
    strip: str = ""
    platform: str | None = None
    tile: str | None = None
    baseline: str | None = None
    cloud_pct: float | None = None
    nodata_pct: float | None = None
    sun_azimuth: float | None = None
    sun_elevation: float | None = None
    view_azimuth: float | None = None
    view_incidence: float | None = None

    def solar_day(self, longitude: float) -> date:
        """The local day at a longitude (degrees), in whole hours of the sun's time."""
        return (self.datetime + timedelta(hours=round(longitude / 15))).date()


class Dropped(NamedTuple):
    """A scene that was found and not used, and why."""

    id: str
    reason: str


def find_assets(item: pystac.Item, bands: Sequence[str]) -> dict[str, pystac.Asset]:
    """The assets of the bands and of the scene classification, by band id and `scl`.

    Raises:
        MissingBand: the item lacks one; the message lists what it has.
    """
    candidates = {band: BANDS[band].asset_keys() for band in bands} | {SCL_KEY: SCL_ASSET_KEYS}
    assets = {}
    for band, keys in candidates.items():
        key = find_asset(item.assets, keys)
        if key is None:
            raise MissingBand(
                f"item {item.id} has no asset for {band} (looked for {', '.join(keys)}); "
                f"it has {', '.join(sorted(item.assets))}: choose others with --bands"
            )
        assets[band] = item.assets[key]
    return assets


def make_scene(
    item: pystac.Item,
    assets: dict[str, pystac.Asset],
    *,
    offset_dn: int,
    offset_source: str,
    baseline: str | None,
) -> Scene:
    """The scene of an item whose assets and radiometric offset are known."""
    if item.datetime is None:
        raise CatalogError(f"item {item.id} has no datetime; remove it from the catalogue")
    properties = item.properties
    acquisition, strip = _acquisition(item)
    try:
        return Scene(
            id=item.id,
            href=item.get_self_href(),
            datetime=item.datetime,
            hrefs={band: _safe_href(asset, item) for band, asset in assets.items()},
            crs=_crs(item, next(iter(assets.values()))),
            offset_dn=offset_dn,
            offset_source=offset_source,
            acquisition=acquisition,
            strip=strip,
            version=_version(properties, baseline),
            platform=_lower(properties.get("platform")),
            tile=_tile(properties),
            baseline=baseline,
            cloud_pct=properties.get("eo:cloud_cover"),
            nodata_pct=_nodata_pct(properties),
            sun_azimuth=properties.get("view:sun_azimuth", properties.get("s2:mean_solar_azimuth")),
            sun_elevation=_sun_elevation(properties),
            view_azimuth=properties.get("view:azimuth"),
            view_incidence=properties.get("view:incidence_angle"),
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise CatalogError(
            f"item {item.id} has a property that cannot be used ({first['loc'][0]}: {first['msg']}); "
            "remove the item or use another catalogue"
        ) from error


def drop_reprocessed(scenes: Iterable[Scene]) -> tuple[list[Scene], list[Dropped]]:
    """Keep the latest processing of each datastrip; the datastrips of a pass are all kept.

    A later processing replaces an earlier one of the same datastrip, unless it shows less of the
    tile; and one that shows all of the tile replaces all earlier ones of the pass, however they were
    cut.

    Returns:
        The scenes that stay, in the order they came; those that do not, with the reason.
    """
    scenes = list(scenes)
    passes: dict[str, list[Scene]] = {}
    for scene in scenes:
        passes.setdefault(scene.acquisition, []).append(scene)
    successor: dict[str, str] = {}
    for products in passes.values():
        latest_first = sorted(products, key=lambda scene: (scene.version, scene.id), reverse=True)
        kept: list[Scene] = []
        for scene in latest_first:
            better = next((later for later in kept if _replaces(later, scene)), None)
            if better is None:
                kept.append(scene)
            else:
                successor[scene.id] = better.id
    stay = [scene for scene in scenes if scene.id not in successor]
    gone = [scene for scene in scenes if scene.id in successor]
    return stay, [Dropped(scene.id, f"reprocessed as {successor[scene.id]}") for scene in gone]


def _replaces(later: Scene, earlier: Scene) -> bool:
    """Whether a later product of a pass over a tile leaves nothing for an earlier one to add."""
    if later.strip != earlier.strip:
        return (
            later.version[:1] > earlier.version[:1]
            and later.nodata_pct is not None
            and later.nodata_pct <= WHOLE_TILE_NODATA_PCT
        )
    if later.nodata_pct is None or earlier.nodata_pct is None:
        return True
    return later.nodata_pct <= earlier.nodata_pct + SAME_COVER_PCT


def solar_days(
    scenes: Iterable[Scene], longitude: float, native_crs: str
) -> list[tuple[date, list[Scene]]]:
    """Scenes by solar day, in order of time.

    Within a day the first scene wins where several saw a pixel: those of the cube's own zone come
    first (they need no resampling), then those with less no-data and fewer clouds.
    """

    def day(scene: Scene) -> date:
        return scene.solar_day(longitude)

    def priority(scene: Scene) -> tuple[bool, float, float, str]:
        foreign = scene.crs is not None and scene.crs != native_crs
        return foreign, scene.nodata_pct or 0.0, scene.cloud_pct or 0.0, scene.id

    ordered = sorted(scenes, key=lambda scene: (day(scene), priority(scene)))
    return [(key, list(group)) for key, group in groupby(ordered, day)]


def _acquisition(item: pystac.Item) -> tuple[str, str]:
    """What names a pass over a tile, and what names a datastrip of it.

    The datatake's sensing start is the same for all processings, its `_Nxx.yy` suffix is not; so is
    the datastrip's, while station and time of making are not. Without these ids the product's name
    must do, which also holds the datatake's start; without that the time to ten seconds (it may
    differ by a millisecond between processings).
    """
    properties = item.properties
    datatake = properties.get("s2:datatake_id") or properties.get("eopf:datatake_id")
    datastrip = properties.get("s2:datastrip_id") or properties.get("eopf:datastrip_id")
    assert item.datetime is not None
    start = _COMPACT_TIME.search(str(datatake or properties.get("s2:product_uri")))
    strip = _STRIP_START.search(str(datastrip))
    when = start.group() if start else f"{round(item.datetime.timestamp(), -1):.0f}"
    names = (properties.get("platform"), _tile(properties), when)
    return "|".join(str(name or "?").lower() for name in names), strip.group(1) if strip else ""


def _version(properties: Mapping[str, Any], baseline: str | None) -> tuple[str, ...]:
    """Orders processings: by baseline, then when they were made, then when they were entered."""
    generated = properties.get("s2:generation_time") or properties.get("processing:datetime")
    return baseline or "", str(generated or ""), str(properties.get("updated") or "")


def _nodata_pct(properties: Mapping[str, Any]) -> Any:
    """Earth Search and Planetary Computer name it, CDSE has it among its statistics."""
    statistics = properties.get("statistics")
    known = statistics.get("nodata") if isinstance(statistics, dict) else None
    return properties.get("s2:nodata_pixel_percentage", known)


def _sun_elevation(properties: Mapping[str, Any]) -> Any:
    """Planetary Computer gives the zenith angle instead."""
    zenith = properties.get("s2:mean_solar_zenith")
    known = 90 - zenith if isinstance(zenith, int | float) else None
    return properties.get("view:sun_elevation", known)


def _tile(properties: Mapping[str, Any]) -> str | None:
    code = properties.get("grid:code") or properties.get("s2:mgrs_tile")
    return None if code is None else str(code).removeprefix("MGRS-")


def _crs(item: pystac.Item, asset: pystac.Asset) -> str | None:
    """`proj:code` (projection v2) or `proj:epsg` (v1), on the asset or on the item."""
    for fields in (asset.extra_fields, item.properties):
        if code := fields.get("proj:code"):
            return str(code)
        if epsg := fields.get("proj:epsg"):
            return f"EPSG:{epsg}"
    return None


def _safe_href(asset: pystac.Asset, item: pystac.Item) -> str:
    """The absolute address of an asset, refused where GDAL would run it or leave the catalogue.

    A catalogue from the network may only name addresses of the network: neither files of this
    machine nor GDAL's inline datasets.
    """
    href = (asset.get_absolute_href() or asset.href).removeprefix("file://")
    remote_item = urlparse(item.get_self_href() or "").scheme in {"http", "https", "s3", "gs"}
    scheme = urlparse(href).scheme
    local = scheme == ""
    known = local or scheme in {"http", "https", "s3", "gs", "az", "abfs"}
    if not known or "<" in href or href.startswith("/vsi") or (remote_item and local):
        raise CatalogError(
            f"item {item.id} names {href[:120]!r}, which is not an address that a catalogue may use;"
            " remove the item or use another catalogue"
        )
    return href


def _lower(value: object) -> str | None:
    return None if value is None else str(value).lower()

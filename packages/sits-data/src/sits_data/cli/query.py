"""The options that `search` and `build-cube` share, and the request that they make."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, get_args

import click

from sits_data.aoi import features_of, read_aoi
from sits_data.bands import DEFAULT_BANDS, parse_bands
from sits_data.catalog import KNOWN, root_of
from sits_data.cli.options import DAY, Number
from sits_data.fields import field_request
from sits_data.grid import Resolution, cube_grid
from sits_data.mask import Refinement
from sits_data.plan import Request


def last_complete_months(months: int, today: date) -> tuple[date, date]:
    """First and last day of the last so many complete months.

    >>> last_complete_months(12, date(2026, 11, 23))
    (datetime.date(2025, 11, 1), datetime.date(2026, 10, 31))
    """
    end = today.replace(day=1) - timedelta(days=1)
    index = end.year * 12 + end.month - months
    return date(index // 12, index % 12 + 1, 1), end


def query_options[F: Callable[..., object]](command: F) -> F:
    """Add the options that say what to look for and where."""
    options = (
        click.option(
            "--aoi",
            required=True,
            metavar="FILE",
            help="Area: GeoJSON, GeoPackage, GeoParquet, or west,south,east,north in degrees.",
        ),
        click.option(
            "--catalog",
            default="earth-search",
            envvar="SITS_CATALOG",
            show_default=True,
            show_envvar=True,
            metavar="NAME|URL|PATH",
            help=f"Catalogue: {', '.join(KNOWN)}; the address of a STAC API; or the address or path of "
            "a catalog.json (or its folder), of a GeoJSON of items or of STAC GeoParquet (.parquet).",
        ),
        click.option(
            "--collection",
            default="sentinel-2-l2a",
            show_default=True,
            help="Its collection; Earth Search also has sentinel-2-c1-l2a.",
        ),
        click.option(
            "--start", type=DAY, help="First day.  [default: start of the last 12 complete months]"
        ),
        click.option("--end", type=DAY, help="Last day.  [default: end of the last complete month]"),
        click.option(
            "--bands",
            default=",".join(DEFAULT_BANDS),
            show_default=True,
            help="Bands, by id (B04) or name (red), with commas.",
        ),
        click.option(
            "--resolution",
            type=click.Choice([str(r) for r in get_args(Resolution)]),
            default="10",
            show_default=True,
            help="Pixel size in metres.",
        ),
        click.option("--crs", metavar="EPSG:CODE", help="Grid's CRS.  [default: the area's UTM zone]"),
        click.option(
            "--max-cloud",
            type=Number(0, 100),
            default=100.0,
            show_default=True,
            help="Leave out scenes with more cloud cover, in percent (100: none).",
        ),
        click.option(
            "--assume-offset",
            type=click.Choice(["0", "-1000"]),
            help="Radiometric offset of scenes whose metadata does not tell it.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def make_request(*, aoi: str, **options: Any) -> Request:
    """The request that the options describe, for one cube over all of the area.

    Raises:
        InvalidAOI, InvalidRequest, MissingBand: an option cannot be used.
    """
    area, asked = read_aoi(aoi), _parse(**options)
    grid = cube_grid(area, asked.resolution_m, asked.crs)
    return Request(grid=grid, features=features_of(area), **asked.settings)


def make_field_requests(*, aoi: str, **options: Any) -> list[Request]:
    """One request a feature of the area, each on a grid of its own.

    Raises:
        InvalidAOI, InvalidRequest, MissingBand: an option cannot be used.
    """
    area, asked = read_aoi(aoi), _parse(**options)
    requests = []
    for feature, (_, row) in zip(features_of(area), area.groupby(level=0), strict=True):
        grid = cube_grid(row, asked.resolution_m, asked.crs)
        requests.append(field_request(Request(grid=grid, features=(feature,), **asked.settings)))
    return requests


class _Asked(NamedTuple):
    """The options, parsed.

    Args:
        resolution_m: of the grid.
        crs: of the grid; None for the area's UTM zone.
        settings: fields of a `Request`.
    """

    resolution_m: Resolution
    crs: str | None
    settings: dict[str, Any]


def _parse(
    *,
    catalog: str,
    collection: str,
    start: datetime | None,
    end: datetime | None,
    bands: str,
    resolution: str,
    crs: str | None,
    max_cloud: float,
    assume_offset: str | None,
    mask: str = "standard",
    min_clear: float = 0.0,
    dilate: float = 0.0,
    erode: float = 0.0,
) -> _Asked:
    first, last = last_complete_months(12, date.today())
    metres: dict[str, Resolution] = {str(metre): metre for metre in get_args(Resolution)}
    known = catalog in KNOWN or "://" in catalog
    settings = {
        "catalog": catalog if known else str(root_of(Path(catalog))),
        "collection": collection,
        "start": start.date() if start else first,
        "end": end.date() if end else last,
        "bands": parse_bands(bands.split(",")),
        "max_cloud_pct": max_cloud,
        "refinement": Refinement(dilate_m=dilate, erode_m=erode),
        "min_clear": min_clear,
        # Without --min-clear the plan is the same, whatever counts as clear.
        "min_clear_mask": mask if min_clear else "standard",
        "assume_offset_dn": None if assume_offset is None else int(assume_offset),
    }
    return _Asked(metres[resolution], crs, settings)


def default_stem(aoi: str) -> str:
    """The name of what is made from an area: its file's stem, `cube` for a bounding box."""
    return Path(aoi).stem if Path(aoi).exists() else "cube"

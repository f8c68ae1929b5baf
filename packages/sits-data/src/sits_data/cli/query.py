"""The options that `search` and `build-cube` share, and the request that they make."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import get_args

import click

from sits_data.aoi import read_aoi
from sits_data.bands import DEFAULT_BANDS, parse_bands
from sits_data.catalog import KNOWN
from sits_data.cli.options import DAY
from sits_data.grid import Resolution, cube_grid
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
            help=f"Catalogue: {', '.join(KNOWN)}, the address of a STAC API, or a catalog.json.",
        ),
        click.option(
            "--collection", default="sentinel-2-l2a", show_default=True, help="Its collection."
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
            type=click.FloatRange(0, 100),
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


def make_request(
    *,
    aoi: str,
    catalog: str,
    collection: str,
    start: datetime | None,
    end: datetime | None,
    bands: str,
    resolution: str,
    crs: str | None,
    max_cloud: float,
    assume_offset: str | None,
    dilate: float = 0.0,
) -> Request:
    """The request that the options describe.

    Raises:
        InvalidAOI, InvalidRequest, MissingBand: an option cannot be used.
    """
    first, last = last_complete_months(12, date.today())
    metres: dict[str, Resolution] = {str(metre): metre for metre in get_args(Resolution)}
    known = catalog in KNOWN or "://" in catalog
    return Request(
        catalog=catalog if known else str(Path(catalog).resolve()),
        collection=collection,
        start=start.date() if start else first,
        end=end.date() if end else last,
        bands=parse_bands(bands.split(",")),
        grid=cube_grid(read_aoi(aoi), metres[resolution], crs),
        max_cloud_pct=max_cloud,
        dilate_m=dilate,
        assume_offset_dn=None if assume_offset is None else int(assume_offset),
    )


def default_stem(aoi: str) -> str:
    """The name of what is made from an area: its file's stem, `cube` for a bounding box."""
    return Path(aoi).stem if Path(aoi).exists() else "cube"

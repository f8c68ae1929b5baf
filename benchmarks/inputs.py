"""What both sides of a comparison start from: the grid, the items, the request.

Settings are plain JSON: `catalog` (a static catalogue, or a file of items), `aoi`, `bands`, `threads`,
`out` where something is written, `crs` where the cube is of another zone than its scenes, and `dates`
where only the first so many items are loaded.
"""

from datetime import date
from pathlib import Path
from typing import Any

import pystac

from sits_data.aoi import read_aoi
from sits_data.bands import BANDS
from sits_data.grid import Grid, cube_grid
from sits_data.plan import Request

Settings = dict[str, Any]


def grid_of(settings: Settings) -> Grid:
    return cube_grid(read_aoi(settings["aoi"]), 10, settings.get("crs"))


def request_of(settings: Settings) -> Request:
    return Request(
        catalog=settings["catalog"], collection="sentinel-2-l2a",
        start=date(2020, 1, 1), end=date(2030, 1, 1), bands=tuple(settings["bands"]),
        grid=grid_of(settings),
    )  # fmt: skip


def items_of(settings: Settings) -> list[pystac.Item]:
    source = settings["catalog"]
    if Path(source).suffix == ".geojson":
        items = list(pystac.ItemCollection.from_file(source))
        for item in items:
            item.set_self_href(source)
    else:
        items = list(pystac.Catalog.from_file(source).get_items(recursive=True))
    return sorted(items, key=lambda item: item.id)[: settings.get("dates")]


def names_of(settings: Settings) -> list[str]:
    """Keys of the assets: the bands', then SCL's."""
    return [*(BANDS[band].common for band in settings["bands"]), "scl"]

"""Many cubes: one of each feature of an area, side by side in one folder.

A field is small: its cube is one block or a few, so that threads take whole cubes. The catalogue is
asked once for a neighbourhood of fields and not once for each.
"""

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from threading import Lock

import geopandas as gpd
import numpy as np
import pystac
import shapely
from shapely.geometry.base import BaseGeometry
from tqdm import tqdm

from sits_data.build import REMOTE_THREADS, BuildOptions, BuildResult, build_cube
from sits_data.cube import is_cube
from sits_data.errors import (
    CatalogError,
    OutputExists,
    OutputNotWritable,
    SitsDataError,
    UnfinishedFields,
)
from sits_data.grid import BLOCK_PX
from sits_data.output import writing_to
from sits_data.plan import Request
from sits_data.planning import search_items
from sits_data.threads import available_cores

NEIGHBOURHOOD_DEG = 0.25
"""Fields whose centres share a square of this side are searched for together."""


@dataclass(frozen=True)
class FieldsResult:
    """What building the cubes of many features did.

    Args:
        folder: with one `NNNNN.zarr` a feature, NNNNN its position in the source.
        cubes: of each feature whose cube is complete.
        failed: why the others are not, by their position.
        seconds: that it took.
    """

    folder: Path
    cubes: tuple[BuildResult, ...]
    failed: dict[int, str]
    seconds: float


def field_request(request: Request) -> Request:
    """The same request without the blocks that its one feature does not touch."""
    (feature,), grid = request.features, request.grid
    outline = gpd.GeoSeries([shapely.from_wkt(feature.wkt)], crs="EPSG:4326").to_crs(grid.crs).iloc[0]
    windows = list(grid.windows(BLOCK_PX))
    boxes = [shapely.box(*grid.window_geobox(window).boundingbox.bbox) for window in windows]
    touched = shapely.intersects(outline, boxes)
    if touched.all():
        return request
    blocks = tuple(
        (window.y // BLOCK_PX, window.x // BLOCK_PX)
        for window, wanted in zip(windows, touched, strict=True)
        if wanted
    )
    return request.model_copy(update={"blocks": blocks})


def build_fields(
    requests: Sequence[Request],
    folder: Path,
    *,
    options: BuildOptions = BuildOptions(),  # noqa: B008  (frozen)
    overwrite: bool = False,
    progress: bool = False,
) -> FieldsResult:
    """Build the cube of each feature, or finish those that are not complete.

    One that fails does not hold up the others, unless the catalogue or the disk is the reason.

    Args:
        requests: one a feature, see `field_request`.
        folder: for the cubes; made if it is not there.
        options: how; `threads` are cubes at a time, by default the cores, or 16 over a network.
        overwrite: replace cubes of other requests.
        progress: show a bar on stderr.

    Raises:
        OutputExists: a file or a cube is at `folder`.
        CatalogError: the catalogue does not answer.
        OutputNotWritable: no permission, or the disk is full.
        UnfinishedFields: no cube could be built; says why the first one could not.
    """
    began = time.monotonic()
    _make_folder(folder)
    neighbours, alone = _Neighbourhoods(requests), replace(options, threads=1)
    failed: dict[int, str] = {}
    bar = tqdm(total=len(requests), unit="field", desc="build", disable=not progress)

    def build(request: Request) -> BuildResult | None:
        number = request.features[0].id
        try:
            return build_cube(
                request,
                folder / f"{number:05d}.zarr",
                options=alone,
                overwrite=overwrite,
                search=neighbours.search,
            )
        except (CatalogError, OutputNotWritable):
            raise  # the next field would meet it too
        except SitsDataError as error:
            failed[number] = str(error)
            return None
        finally:
            bar.update()

    with bar, ThreadPoolExecutor(options.threads or _default_threads(requests)) as pool:
        futures = [pool.submit(build, request) for request in requests]
        try:
            finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
            done = [future.result() for future in futures if future in finished]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    cubes = tuple(one for one in done if one is not None)
    if not cubes:
        first = next(iter(failed.values()))
        error = UnfinishedFields(f"none of {len(requests)} cubes could be built: {first}")
        error.exit_code = 1
        raise error
    return FieldsResult(folder, cubes, dict(sorted(failed.items())), time.monotonic() - began)


def _default_threads(requests: Sequence[Request]) -> int:
    return available_cores() if Path(requests[0].catalog).is_absolute() else REMOTE_THREADS


def _make_folder(folder: Path) -> None:
    with writing_to(folder):
        if is_cube(folder) or (folder.exists() and not folder.is_dir()):
            raise OutputExists(f"{folder} is there and is not a folder of cubes; choose another --out")
        folder.mkdir(parents=True, exist_ok=True)


_Place = tuple[str, str, date, date, int, int]


class _Neighbourhoods:
    """Asks the catalogue once for all fields of a neighbourhood, when the first of them is planned."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._requests = requests
        self._found: dict[_Place, list[tuple[pystac.Item, BaseGeometry]]] = {}
        self._lock = Lock()

    def search(self, request: Request) -> list[pystac.Item]:
        """The items that meet a field's grid, in the catalogue's order."""
        place = _place(request)
        with self._lock:
            if place not in self._found:
                self._found[place] = self._ask(place)
        footprint = request.grid.footprint
        return [item for item, outline in self._found[place] if outline.intersects(footprint)]

    def _ask(self, place: _Place) -> list[tuple[pystac.Item, BaseGeometry]]:
        members = self._members[place]
        around = shapely.box(*shapely.total_bounds([one.grid.footprint for one in members]))
        items = search_items(members[0], around)
        return [(item, shapely.geometry.shape(item.geometry)) for item in items if item.geometry]

    @cached_property
    def _members(self) -> dict[_Place, list[Request]]:
        members: dict[_Place, list[Request]] = {}
        for request in self._requests:
            members.setdefault(_place(request), []).append(request)
        return members


def _place(request: Request) -> _Place:
    """What requests must share to be searched for together."""
    centre = shapely.from_wkt(request.features[0].wkt).centroid
    column, row = np.floor_divide([centre.x, centre.y], NEIGHBOURHOOD_DEG).astype(int).tolist()
    return request.catalog, request.collection, request.start, request.end, column, row

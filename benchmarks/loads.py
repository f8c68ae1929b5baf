"""Sides that load scenes into memory and write nothing; items are at hand when the clock starts.

All but cubo give the same uint16 values on the scenes' own zone; their checksums are of the first date.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.inputs import Settings, grid_of, items_of, names_of, request_of
from benchmarks.outcome import Clock, report


def ours_load(settings: Settings) -> None:
    """What `build_cube` reads, as it reads it: windows of a plan, each with its deadline."""
    from sits_data.build import BuildOptions, pending
    from sits_data.fill import Task
    from sits_data.planning import plan_cube
    from sits_data.read import DayWindow

    request, items = request_of(settings), items_of(settings)
    options = BuildOptions(threads=settings["threads"])
    clock = Clock()
    plan, how = plan_cube(request, lambda _: items), options.how(request)

    def read(task: Task) -> DayWindow:
        scenes = plan.days[task.time].scenes
        return how.read(request, scenes, task.window, request.bands, parts=task.parts)

    with options.workers(plan) as workers:
        pixels = list(workers.run(read, pending(plan, set(), lambda _: True)))
    spent = clock.spent()
    first = (window for task, window in pixels if task.time == 0)
    report(spent, sum(int(window.reflectance.sum(dtype=np.int64)) for window in first))


def rasterio_windows(settings: Settings) -> None:
    """The floor: each raster opened once and its window read as it is stored, no pixel touched twice."""
    _rasterio(settings, to_grid=False)


def rasterio_to_grid(settings: Settings) -> None:
    """The same, but GDAL repeats 20 m pixels while it reads: a cube's worth of pixels."""
    _rasterio(settings, to_grid=True)


def _rasterio(settings: Settings, *, to_grid: bool) -> None:
    from concurrent.futures import ThreadPoolExecutor

    import rasterio
    from rasterio.windows import from_bounds

    from sits_data.rasters import GDAL_OPTIONS

    grid = grid_of(settings)
    bounds = grid.left, grid.bottom, grid.right, grid.top
    shape = grid.shape if to_grid else None
    hrefs = [[item.assets[name].href for name in names_of(settings)] for item in items_of(settings)]

    def read(href: str) -> NDArray[Any]:
        with rasterio.Env(**GDAL_OPTIONS), rasterio.open(href) as raster:
            window = from_bounds(*bounds, raster.transform).round_lengths().round_offsets()
            pixels: NDArray[Any] = raster.read(1, window=window, out_shape=shape)
            return pixels

    clock = Clock()
    with ThreadPoolExecutor(settings["threads"]) as pool:
        arrays = list(pool.map(read, [href for date in hrefs for href in date]))
    spent = clock.spent()
    bands = arrays[: len(settings["bands"])]
    side = bands[0].shape[0]
    report(spent, sum(_shifted(values) * (side // values.shape[0]) ** 2 for values in bands))


def odc_pool(settings: Settings) -> None:
    """odc-stac without dask: its own threads."""
    import odc.stac

    geobox, items, names = grid_of(settings).geobox, items_of(settings), names_of(settings)
    resampling = {"*": "bilinear", "scl": "nearest"} if "crs" in settings else "nearest"
    clock = Clock()
    dataset = odc.stac.load(
        items, bands=names, geobox=geobox, groupby="solar_day", pool=settings["threads"],
        resampling=resampling,
    )  # fmt: skip
    spent = clock.spent()
    report(spent, sum(_shifted(dataset[name][0].to_numpy()) for name in names[:-1]))


def stackstac_uint16(settings: Settings) -> None:
    """The same by stackstac and dask, with settings that keep types, pixels and failures."""
    import dask
    import stackstac
    from rasterio.enums import Resampling

    grid, items, names = grid_of(settings), items_of(settings), names_of(settings)
    clock = Clock()

    def stack(assets: list[str], resampling: Resampling) -> Any:
        return stackstac.stack(
            items, assets=assets, epsg=int(grid.crs.removeprefix("EPSG:")), resolution=10,
            bounds=(grid.left, grid.bottom, grid.right, grid.top), snap_bounds=False,
            dtype="uint16", fill_value=np.uint16(0), rescale=False, xy_coords="center",
            errors_as_nodata=(), resampling=resampling, chunksize=1024,
        ).data  # fmt: skip

    bilinear = Resampling.bilinear if "crs" in settings else Resampling.nearest
    with dask.config.set(scheduler="threads", num_workers=settings["threads"]):
        bands, _ = dask.compute(stack(names[:-1], bilinear), stack(names[-1:], Resampling.nearest))
    spent = clock.spent()
    report(spent, sum(_shifted(values) for values in bands[0]))


def cubo_defaults(settings: Settings) -> None:
    """What cubo does as one calls it, but for its search: it is handed the items."""
    import dask
    from cubo import cubo
    from pyproj import Transformer

    grid, items, names = grid_of(settings), items_of(settings), names_of(settings)
    middle = (grid.left + grid.right) / 2, (grid.bottom + grid.top) / 2
    lon, lat = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(*middle)
    cubo.pystac_client = _Answer(items)
    clock = Clock()
    with dask.config.set(scheduler="threads", num_workers=settings["threads"]):
        cube = cubo.create(
            lat, lon, "sentinel-2-l2a", "2020-01-01", "2030-01-01", bands=names,
            edge_size=grid.shape[0], resolution=10, stac="items at hand",
        ).compute()  # fmt: skip
    spent = clock.spent()
    assert cube.shape[2:] == grid.shape, cube.shape
    report(spent, 0)


class _Answer:
    """Looks like `pystac_client`, and finds what it was given."""

    def __init__(self, items: list[Any]) -> None:
        self.Client = self
        self._items = items

    def open(self, _address: str) -> "_Answer":
        return self

    def search(self, **_query: object) -> "_Answer":
        return self

    def item_collection(self) -> list[Any]:
        return self._items


def _shifted(dn: NDArray[np.uint16]) -> int:
    """Sum of values in the cube's convention."""
    return int(dn.sum(dtype=np.int64)) + 1000 * int(np.count_nonzero(dn))

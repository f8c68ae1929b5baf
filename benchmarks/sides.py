"""One side of a comparison, run in a process of its own: `python -m benchmarks.sides NAME …`.

Prints one JSON object: seconds of the work after imports, peak memory, a checksum of what was made.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import loads, months, submitted
from benchmarks.inputs import Settings, grid_of, items_of, names_of, request_of
from benchmarks.outcome import Clock, fresh, report


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=sorted(SIDES))
    parser.add_argument("settings", type=json.loads)
    arguments = parser.parse_args()
    SIDES[arguments.side](arguments.settings)


def ours(settings: Settings) -> None:
    """`sits_data.build_cube`."""
    import sits_data.read  # noqa: F401  (its imports are not what is measured)
    from sits_data.build import BuildOptions, build_cube
    from sits_data.cube import open_raw

    out = fresh(settings)
    options = BuildOptions(threads=settings["threads"], skip_below=settings.get("skip_below", 0.0))
    clock = Clock()
    build_cube(request_of(settings), out, options=options)
    spent = clock.spent()
    report(spent, int(open_raw(out).read("reflectance", 0).sum(dtype=np.int64)))


def build_imports(_settings: Settings) -> None:
    """What building imports, and nothing else."""
    import sits_data.build
    import sits_data.catalog
    import sits_data.cube
    import sits_data.read  # noqa: F401

    report(Clock().spent(), 0)


def fields(settings: Settings) -> None:
    """Simulated fields: one cube each (4 bands, 24 dates), then one merged store; counts its pixels."""
    import geopandas as gpd

    import sits_data.read  # noqa: F401
    from sits_data.aoi import features_of
    from sits_data.fields import build_fields, field_request
    from sits_data.grid import cube_grid
    from sits_data.manifest import Features, Recipe
    from sits_data.plan import Request
    from sits_data.simulate import simulate_catalog
    from sits_data.store import planarize_all
    from sits_data.store.merge import find_cubes

    work = Path(settings["work"])
    if not work.exists():
        simulate_catalog(work / "catalogue", size_px=336, dates=24)
    parcels = gpd.read_file(work / "catalogue/parcels.gpkg")
    area = parcels.iloc[: settings["count"]]
    for made in ("cubes", "fields.planar"):
        shutil.rmtree(work / made, ignore_errors=True)
    clock = Clock()
    requests = [
        field_request(
            Request(
                catalog=str(work / "catalogue/catalog.json"), collection="sentinel-2-l2a",
                start=date(2020, 1, 1), end=date(2030, 1, 1), bands=("B02", "B03", "B04", "B08"),
                grid=cube_grid(area.iloc[[feature.id]], 10), features=(feature,),
            )
        )
        for feature in features_of(area)
    ]  # fmt: skip
    build_fields(requests, work / "cubes")
    built = clock.spent().seconds
    done = planarize_all(
        find_cubes([work / "cubes"]), work / "fields.planar", recipe=Recipe(regions=Features())
    )
    spent = clock.spent()
    print(f"cubes {built:.1f} s, store {spent.seconds - built:.1f} s", file=sys.stderr)
    assert done.parts == settings["count"], done.empty
    report(spent, done.pixels)


def imports(_settings: Settings) -> None:
    """What planarize imports, and nothing else."""
    import sits_data.store.write  # noqa: F401

    report(Clock().spent(), 0)


def odc_uint16(settings: Settings) -> None:
    """odc-stac and dask: the same uint16 values, scl and a mask, to Zarr."""
    dataset, clock = load_odc(settings, chunks={"time": 1, "y": 1024, "x": 1024})
    bands = [name for name in dataset.data_vars if name != "scl"]
    for name in bands:
        dn = dataset[name]
        dataset[name] = dn.where(dn == 0, dn + np.uint16(1000))
    dataset["clear"] = dataset.scl.isin([2, 4, 5, 6, 7])
    to_zarr(dataset, settings)
    report(clock.spent(), _checksum(settings, bands))


def odc_float32(settings: Settings) -> None:
    """The usual recipe: mask, scale to float32, to_zarr; with our codec."""
    _usual_recipe(settings, our_codec=True)


def odc_float32_as_is(settings: Settings) -> None:
    """The usual recipe with the codec that `to_zarr` takes by itself."""
    _usual_recipe(settings, our_codec=False)


def _usual_recipe(settings: Settings, *, our_codec: bool) -> None:
    dataset, clock = load_odc(settings, chunks={"time": 1, "y": 1024, "x": 1024})
    clear = dataset.scl.isin([2, 4, 5, 6, 7])
    bands = [name for name in dataset.data_vars if name != "scl"]
    reflectance = dataset[bands].where(clear).astype("float32") * np.float32(1e-4)
    to_zarr(reflectance, settings, our_codec=our_codec)
    report(clock.spent(), 0)


def odc_threads(settings: Settings) -> None:
    """odc-stac without dask: its own threads, from the catalogue into memory, nothing written."""
    dataset, clock = load_odc(settings, chunks=None)
    spent = clock.spent()
    bands = [name for name in dataset.data_vars if name != "scl"]
    first = [dataset[name].isel(time=0).to_numpy() for name in bands]
    total = sum(int((v + np.uint16(1000) * (v != 0)).sum(dtype=np.int64)) for v in first)
    report(spent, total)


def planarize(settings: Settings) -> None:
    """`sits_data.planarize` over chips that cover the cube."""
    from sits_data.store import Chips, Recipe
    from sits_data.store import planarize as write_store

    recipe = Recipe(regions=Chips(size_px=settings["chip_px"]))
    out = fresh(settings)
    clock = Clock()
    write_store(settings["cube"], out, recipe=recipe, threads=settings["threads"])
    report(clock.spent(), 0)


def predict(settings: Settings) -> None:
    """A map of a cube by a classifier."""
    from sits_models.predict import predict as draw

    clock = Clock()
    done = draw(
        settings["checkpoint"], settings["cube"], settings["out"],
        device="cpu", threads=2, overwrite=True,
    )  # fmt: skip
    report(clock.spent(), done.pixels)


def predict_imports(_settings: Settings) -> None:
    """What predict takes before it does anything."""
    import sits_models.backbones.planar_vit
    import sits_models.predict  # noqa: F401

    report(Clock().spent(), 0)


def zarr_blocks(settings: Settings) -> None:
    """Read every block of reflectance and qa with one call of zarr-python, and drop it."""
    from sits_data.cube import open_raw

    cube = open_raw(settings["cube"])
    arrays, px = [cube.array("reflectance"), cube.array("qa")], cube.chunk_px
    clock = Clock()
    for y in range(0, cube.geobox.shape.y, px):
        for x in range(0, cube.geobox.shape.x, px):
            for array in arrays:
                np.asarray(array[..., y : y + px, x : x + px])
    report(clock.spent(), 0)


def zarr_decode(settings: Settings) -> None:
    """Decode every chunk of reflectance and qa with zarr-python, on as many threads as planarize."""
    _decode(settings)


def zarrs_decode(settings: Settings) -> None:
    """The same with the zarrs pipeline (Rust)."""
    from sits_data.cube import fast_codecs

    with fast_codecs():
        _decode(settings)


def _decode(settings: Settings) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from sits_data.cube import open_raw

    cube = open_raw(settings["cube"])
    arrays = [cube.array("reflectance"), cube.array("qa")]
    px, step = cube.chunk_px, 6
    corners = [
        (t, y, x)
        for y in range(0, cube.geobox.shape.y, px)
        for x in range(0, cube.geobox.shape.x, px)
        for t in range(0, len(cube.dates), step)
    ]

    def decode(corner: tuple[int, int, int]) -> None:
        t, y, x = corner
        for array in arrays:
            np.asarray(array[t : t + step, ..., y : y + px, x : x + px])

    clock = Clock()
    with ThreadPoolExecutor(settings["threads"]) as pool:
        list(pool.map(decode, corners))
    report(clock.spent(), 0)


def load_odc(settings: Settings, *, chunks: dict[str, int] | None) -> tuple[Any, Clock]:
    """From the catalogue to a dataset; the clock does not count imports."""
    import dask
    import odc.stac

    fresh(settings)
    dask.config.set(scheduler="threads", num_workers=settings["threads"])
    clock = Clock()
    dataset = odc.stac.load(
        items_of(settings), bands=names_of(settings), geobox=grid_of(settings).geobox,
        groupby="solar_day", chunks=chunks, pool=None if chunks else settings["threads"],
    )  # fmt: skip
    return dataset, clock


def to_zarr(dataset: Any, settings: Settings, *, our_codec: bool = True) -> None:
    """Write with the codec of our cubes, or with zarr's own."""
    from zarr.codecs import BloscCodec

    from sits_data.units import COMPRESSION_LEVEL

    codec = BloscCodec(cname="zstd", clevel=COMPRESSION_LEVEL, shuffle="bitshuffle")
    encoding = {name: {"compressors": codec} for name in dataset.data_vars if our_codec}
    for variable in dataset.variables.values():
        variable.attrs.pop("nodata", None)
    dataset.to_zarr(settings["out"], encoding=encoding, consolidated=False)


def _checksum(settings: Settings, bands: list[str]) -> int:
    import zarr

    group: Any = zarr.open_group(settings["out"], mode="r")
    return int(sum(group[name][0].sum(dtype=np.int64) for name in bands))


_ALL = (
    *(
        ours,
        odc_uint16,
        odc_float32,
        odc_float32_as_is,
        odc_threads,
        planarize,
        zarr_blocks,
        zarr_decode,
        zarrs_decode,
    ),
    *(fields, build_imports, imports, predict, predict_imports),
    *(loads.ours_load, loads.rasterio_windows, loads.rasterio_to_grid, loads.odc_pool),
    *(loads.stackstac_uint16, loads.cubo_defaults, months.monthly, months.odc_monthly),
    *(submitted.ours_submit, submitted.ours_submit_cluster, submitted.odc_graph),
)
SIDES: dict[str, Callable[[Settings], None]] = {side.__name__: side for side in _ALL}

if __name__ == "__main__":
    main()

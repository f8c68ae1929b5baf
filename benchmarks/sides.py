"""One side of a comparison, run in a process of its own: `python -m benchmarks.sides NAME …`.

Prints one JSON object: seconds of the work after imports, peak memory, a checksum of what was made.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=sorted(SIDES))
    parser.add_argument("settings", type=json.loads)
    arguments = parser.parse_args()
    SIDES[arguments.side](arguments.settings)


def ours(settings: dict[str, Any]) -> None:
    """`sits_data.build_cube`."""
    import sits_data.read  # noqa: F401  (its imports are not what is measured)
    from sits_data.aoi import read_aoi
    from sits_data.build import build_cube
    from sits_data.cube import open_raw
    from sits_data.grid import cube_grid
    from sits_data.plan import Request

    out = _fresh(settings)
    began = time.perf_counter()
    request = Request(
        catalog=settings["catalog"], collection="sentinel-2-l2a",
        start=date(2020, 1, 1), end=date(2030, 1, 1), bands=tuple(settings["bands"]),
        grid=cube_grid(read_aoi(settings["aoi"]), 10),
    )  # fmt: skip
    build_cube(request, out, threads=settings["threads"])
    seconds = time.perf_counter() - began
    cube = open_raw(out)
    _report(seconds, int(cube.read("reflectance", 0).sum(dtype=np.int64)))


def monthly(settings: dict[str, Any]) -> None:
    """`sits_data.build_cube`, then monthly medians of the cube, both to Zarr."""
    import sits_data.read  # noqa: F401
    from sits_data.aoi import read_aoi
    from sits_data.build import build_cube
    from sits_data.derive import Run, composite_cube
    from sits_data.grid import cube_grid
    from sits_data.plan import Request

    out = _fresh(settings)
    cube = _fresh({"out": str(out.with_name(f"{out.stem}-source.zarr"))})
    began = time.perf_counter()
    request = Request(
        catalog=settings["catalog"], collection="sentinel-2-l2a",
        start=date(2020, 1, 1), end=date(2030, 1, 1), bands=tuple(settings["bands"]),
        grid=cube_grid(read_aoi(settings["aoi"]), 10),
    )  # fmt: skip
    build_cube(request, cube, threads=settings["threads"])
    built = time.perf_counter()
    composite_cube(cube, out, run=Run(threads=settings["threads"]))
    seconds = time.perf_counter() - began
    print(f"cube {built - began:.1f} s, composite {seconds - built + began:.1f} s", file=sys.stderr)
    _report(seconds, _sum_of_second(out, ["reflectance"]))


def monthly_of_cube(settings: dict[str, Any]) -> None:
    """Monthly medians of a cube that is there."""
    from sits_data.derive import Run, composite_cube

    out = _fresh(settings)
    began = time.perf_counter()
    composite_cube(settings["cube"], out, run=Run(threads=settings["threads"]))
    _report(time.perf_counter() - began, _sum_of_second(out, ["reflectance"]))


def odc_monthly(settings: dict[str, Any]) -> None:
    """odc-stac and xarray: mask by scl, resample to months, median, to Zarr as uint16."""
    dataset, began = _odc(settings, chunks=True)
    bands = [name for name in dataset.data_vars if name != "scl"]
    clear = dataset.scl.isin([2, 4, 5, 6, 7])
    dn = dataset[bands]
    medians = dn.where(clear & (dn != 0)).resample(time="1MS").median()
    rounded = np.floor(medians.fillna(-1000) + 1000.5).astype("uint16")
    _to_zarr(rounded, settings)
    _report(time.perf_counter() - began, _sum_of_second(Path(settings["out"]), bands))


def xarray_monthly(settings: dict[str, Any]) -> None:
    """Monthly medians of our cube by xarray and Dask, to Zarr as float32."""
    import dask

    from sits_data import open_cube
    from sits_data.cube import fast_codecs

    _fresh(settings)
    dask.config.set(scheduler="threads", num_workers=settings["threads"])
    began = time.perf_counter()
    with fast_codecs():
        cube = open_cube(settings["cube"])
        medians = cube["reflectance"].where(cube["qa"] == 0).resample(time="1MS").median()
        numbers = np.floor((medians + np.float32(0.1)).fillna(0) * 10_000 + np.float32(0.5))
        made = numbers.astype("uint16").to_dataset(name="reflectance").drop_vars("band")
        _to_zarr(made.drop_vars([name for name in made.coords if name.startswith("scene")]), settings)
    _report(time.perf_counter() - began, _sum_of_second(Path(settings["out"]), ["reflectance"]))


def fields(settings: dict[str, Any]) -> None:
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
    began = time.perf_counter()
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
    built = time.perf_counter()
    done = planarize_all(
        find_cubes([work / "cubes"]), work / "fields.planar", recipe=Recipe(regions=Features())
    )
    seconds = time.perf_counter() - began
    print(f"cubes {built - began:.1f} s, store {seconds - built + began:.1f} s", file=sys.stderr)
    assert done.parts == settings["count"], done.empty
    _report(seconds, done.pixels)


def imports(_settings: dict[str, Any]) -> None:
    """What planarize imports, and nothing else."""
    import sits_data.store.write  # noqa: F401

    _report(0.0, 0)


def odc_uint16(settings: dict[str, Any]) -> None:
    """odc-stac and dask: the same uint16 values, scl and a mask, to Zarr."""
    dataset, began = _odc(settings, chunks=True)
    bands = [name for name in dataset.data_vars if name != "scl"]
    for name in bands:
        dn = dataset[name]
        dataset[name] = dn.where(dn == 0, dn + np.uint16(1000))
    dataset["clear"] = dataset.scl.isin([2, 4, 5, 6, 7])
    _to_zarr(dataset, settings)
    seconds = time.perf_counter() - began
    _report(seconds, _checksum(settings, bands))


def odc_float32(settings: dict[str, Any]) -> None:
    """The usual recipe: mask, scale to float32, to_zarr."""
    dataset, began = _odc(settings, chunks=True)
    clear = dataset.scl.isin([2, 4, 5, 6, 7])
    bands = [name for name in dataset.data_vars if name != "scl"]
    reflectance = dataset[bands].where(clear).astype("float32") * np.float32(1e-4)
    _to_zarr(reflectance, settings)
    _report(time.perf_counter() - began, 0)


def odc_threads(settings: dict[str, Any]) -> None:
    """odc-stac without dask: its own threads, into memory, nothing written."""
    dataset, began = _odc(settings, chunks=False)
    seconds = time.perf_counter() - began
    bands = [name for name in dataset.data_vars if name != "scl"]
    first = [dataset[name].isel(time=0).to_numpy() for name in bands]
    total = sum(int((v + np.uint16(1000) * (v != 0)).sum(dtype=np.int64)) for v in first)
    _report(seconds, total)


def planarize(settings: dict[str, Any]) -> None:
    """`sits_data.planarize` over chips that cover the cube."""
    from sits_data.store import Chips, Recipe
    from sits_data.store import planarize as write_store

    recipe = Recipe(regions=Chips(size_px=settings["chip_px"]))
    out = _fresh(settings)
    began = time.perf_counter()
    write_store(settings["cube"], out, recipe=recipe, threads=settings["threads"])
    _report(time.perf_counter() - began, 0)


def predict(settings: dict[str, Any]) -> None:
    """A map of a cube by a classifier."""
    from sits_models.predict import predict as draw

    began = time.perf_counter()
    done = draw(
        settings["checkpoint"], settings["cube"], settings["out"],
        device="cpu", threads=2, overwrite=True,
    )  # fmt: skip
    _report(time.perf_counter() - began, done.pixels)


def predict_imports(_settings: dict[str, Any]) -> None:
    """What predict takes before it does anything."""
    import sits_models.backbones.planar_vit
    import sits_models.predict  # noqa: F401

    _report(0.0, 0)


def zarr_blocks(settings: dict[str, Any]) -> None:
    """Read every block of reflectance and qa with one call of zarr-python, and drop it."""
    from sits_data.cube import open_raw

    cube = open_raw(settings["cube"])
    arrays, px = [cube.array("reflectance"), cube.array("qa")], cube.chunk_px
    began = time.perf_counter()
    for y in range(0, cube.geobox.shape.y, px):
        for x in range(0, cube.geobox.shape.x, px):
            for array in arrays:
                np.asarray(array[..., y : y + px, x : x + px])
    _report(time.perf_counter() - began, 0)


def zarr_decode(settings: dict[str, Any]) -> None:
    """Decode every chunk of reflectance and qa with zarr-python, on as many threads as planarize."""
    _decode(settings)


def zarrs_decode(settings: dict[str, Any]) -> None:
    """The same with the zarrs pipeline (Rust)."""
    from sits_data.cube import fast_codecs

    with fast_codecs():
        _decode(settings)


def _decode(settings: dict[str, Any]) -> None:
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

    began = time.perf_counter()
    with ThreadPoolExecutor(settings["threads"]) as pool:
        list(pool.map(decode, corners))
    _report(time.perf_counter() - began, 0)


def _odc(settings: dict[str, Any], *, chunks: bool) -> tuple[Any, float]:
    import dask
    import odc.stac
    import pystac

    from sits_data.aoi import read_aoi
    from sits_data.bands import BANDS
    from sits_data.grid import cube_grid

    _fresh(settings)
    dask.config.set(scheduler="threads", num_workers=settings["threads"])
    began = time.perf_counter()
    catalog = pystac.Catalog.from_file(settings["catalog"])
    if "items" in settings:  # over HTTP both sides get the items from one file
        items = list(pystac.ItemCollection.from_file(settings["items"]))
        for item in items:
            item.set_self_href(settings["catalog"])
    else:
        items = list(catalog.get_items(recursive=True))
    how: dict[str, Any] = {"pool": settings["threads"]}
    if chunks:
        how = {"chunks": {"time": 1, "y": 1024, "x": 1024}}
    dataset = odc.stac.load(
        items,
        bands=[*(BANDS[band].common for band in settings["bands"]), "scl"],
        geobox=cube_grid(read_aoi(settings["aoi"]), 10).geobox,
        groupby="solar_day",
        **how,
    )
    return dataset, began


def _to_zarr(dataset: Any, settings: dict[str, Any]) -> None:
    """Write with the same codec as ours, which is also faster than zarr's default here."""
    from zarr.codecs import BloscCodec

    codec = BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle")
    encoding = {name: {"compressors": codec} for name in dataset.data_vars}
    for variable in dataset.variables.values():
        variable.attrs.pop("nodata", None)
    dataset.to_zarr(settings["out"], encoding=encoding, consolidated=False)


def _checksum(settings: dict[str, Any], bands: list[str]) -> int:
    import zarr

    group: Any = zarr.open_group(settings["out"], mode="r")
    return int(sum(group[name][0].sum(dtype=np.int64) for name in bands))


def _sum_of_second(out: Path, names: list[str]) -> int:
    """Checksum of the second month."""
    import zarr

    group: Any = zarr.open_group(out, mode="r")
    return int(sum(group[name][1].sum(dtype=np.int64) for name in names))


def _fresh(settings: dict[str, Any]) -> Path:
    out = Path(settings["out"])
    for path in (out, out.with_name(f"{out.name}.state")):
        shutil.rmtree(path, ignore_errors=True)
    return out


def _report(seconds: float, checksum: int) -> None:
    # Not `ru_maxrss`: that counts what the parent held before it became this process.
    status = Path("/proc/self/status").read_text()
    peak_kb = int(status.split("VmHWM:")[1].split()[0])
    json.dump({"seconds": seconds, "peak_mb": peak_kb / 1024, "checksum": checksum}, sys.stdout)


_ALL = (
    *(
        ours,
        odc_uint16,
        odc_float32,
        odc_threads,
        planarize,
        predict,
        predict_imports,
        zarr_blocks,
        zarr_decode,
        zarrs_decode,
    ),
    *(fields, imports, predict, predict_imports),
    *(monthly, monthly_of_cube, odc_monthly, xarray_monthly),
)
SIDES: dict[str, Callable[[dict[str, Any]], None]] = {side.__name__: side for side in _ALL}

if __name__ == "__main__":
    main()

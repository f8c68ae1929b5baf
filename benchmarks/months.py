"""Monthly medians to Zarr: ours, and those of odc-stac and xarray; sides of `benchmarks.sides`."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inputs import Settings, request_of
from benchmarks.outcome import Clock, fresh, report


def monthly(settings: Settings) -> None:
    """`sits_data.build_cube`, then monthly medians of the cube, both to Zarr."""
    import sits_data.read  # noqa: F401
    from sits_data.build import BuildOptions, build_cube
    from sits_data.derive import Run, composite_cube

    out, cube = fresh(settings), fresh({"out": settings["source"]})
    clock = Clock()
    build_cube(request_of(settings), cube, options=BuildOptions(threads=settings["threads"]))
    composite_cube(cube, out, run=Run(threads=settings["threads"]))
    report(clock.spent(), _sum_of_second(out, ["reflectance"]))


def odc_monthly(settings: Settings) -> None:
    """odc-stac and xarray: mask by scl, resample to months, median, to Zarr as uint16."""
    from benchmarks.sides import load_odc, to_zarr

    dataset, clock = load_odc(settings, chunks={"time": 1, "y": 1024, "x": 1024})
    bands = [name for name in dataset.data_vars if name != "scl"]
    clear = dataset.scl.isin([2, 4, 5, 6, 7])
    dn = dataset[bands]
    medians = dn.where(clear & (dn != 0)).resample(time="1MS").median()
    rounded = np.floor(medians.fillna(-1000) + 1000.5).astype("uint16")
    to_zarr(rounded, settings)
    report(clock.spent(), _sum_of_second(Path(settings["out"]), bands))


def _sum_of_second(out: Path, names: list[str]) -> int:
    """Checksum of the second month."""
    import zarr

    group: Any = zarr.open_group(out, mode="r")
    return int(sum(group[name][1].sum(dtype=np.int64) for name in names))

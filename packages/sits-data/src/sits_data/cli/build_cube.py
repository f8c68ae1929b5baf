"""`sits-data build-cube`."""

from pathlib import Path
from typing import Any, get_args

import click

from sits_data.build import build_cube as build
from sits_data.cli.options import OutPath, json_option, print_summary
from sits_data.cli.query import default_stem, make_request, query_options
from sits_data.cube import open_raw
from sits_data.mask import MaskPreset


@click.command()
@query_options
@click.option(
    "--dilate",
    type=click.FloatRange(0, 5000),
    default=0.0,
    show_default=True,
    help="Widen clouds, shadows and cirrus in qa by so many metres.",
)
@click.option(
    "--mask",
    type=click.Choice(get_args(MaskPreset)),
    default="standard",
    show_default=True,
    help="What the summary counts as clear; values are never overwritten.",
)
@click.option("--out", type=OutPath, help="The cube.  [default: the area's file name + .zarr, here]")
@click.option("--overwrite", is_flag=True, help="Replace a cube that is there.")
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    help="Reading threads.  [default: the cores; 16 over a network]",
)
@json_option
def build_cube(
    *,
    mask: MaskPreset,
    out: Path | None,
    overwrite: bool,
    threads: int | None,
    as_json: bool,
    **query: Any,
) -> None:
    """Build a cloud-masked Sentinel-2 cube over the bounding box of an area.

    An interrupted run continues when the same command is started again.

    \b
    sits-data build-cube --aoi field.geojson
    sits-data build-cube --aoi field.geojson --start 2024-03-01 --end 2024-10-31 --bands B02,B03,B04,B08
    """
    request = make_request(**query)
    out = out or Path(f"{default_stem(query['aoi'])}.zarr")
    result = build(request, out, threads=threads, overwrite=overwrite, progress=True)
    cube = open_raw(out)
    days = [str(day.day) for day in result.plan.days]
    summary = {
        "cube": str(out),
        "scenes": len(result.plan.scenes),
        "scenes_dropped": len(result.plan.dropped),
        "dates": len(days),
        "first_date": days[0],
        "last_date": days[-1],
        "bands": request.bands,
        "shape": list(cube.array("reflectance").shape),
        "crs": request.grid.crs,
        "resolution_m": request.grid.resolution_m,
        "mask": mask,
        "clear_pct": round(100 * float(cube.clear_fraction(mask).mean()), 1),
        "units": result.units,
        "units_resumed": result.resumed,
        "bytes": result.bytes_on_disk,
        "seconds": round(result.seconds, 1),
    }
    print_summary(summary, as_json=as_json)

"""`sits-data build-cube`."""

from pathlib import Path
from typing import Any

import click

from sits_data.build import BuildResult
from sits_data.build import build_cube as build
from sits_data.cli.options import MASK, OutPath, json_option, print_summary
from sits_data.cli.query import default_stem, make_field_requests, make_request, query_options
from sits_data.cube import open_raw
from sits_data.errors import UnfinishedFields
from sits_data.fields import FieldsResult, build_fields


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
    type=MASK,
    default="standard",
    show_default=True,
    help="What the summary counts as clear; values are never overwritten.",
)
@click.option(
    "--per-feature",
    is_flag=True,
    help="One cube for each feature of --aoi; --out is then a folder, and blocks that the feature does "
    "not touch are not read.",
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
    mask: str,
    per_feature: bool,
    out: Path | None,
    overwrite: bool,
    threads: int | None,
    as_json: bool,
    **query: Any,
) -> None:
    """Build a cloud-masked Sentinel-2 cube over the bounding box of an area, or one of each feature.

    An interrupted run continues when the same command is started again.

    \b
    sits-data build-cube --aoi field.geojson
    sits-data build-cube --aoi field.geojson --start 2024-03-01 --end 2024-10-31 --bands B02,B03,B04,B08
    sits-data build-cube --aoi fields.gpkg --per-feature --out fields
    """
    if per_feature:
        requests = make_field_requests(**query)
        fields = build_fields(
            requests,
            out or Path(f"{default_stem(query['aoi'])}-cubes"),
            threads=threads,
            overwrite=overwrite,
            progress=True,
        )
        print_summary(_describe_fields(fields, as_json=as_json), as_json=as_json)
        if fields.failed:
            raise UnfinishedFields(
                f"{len(fields.failed)} of {len(requests)} cubes could not be built; run the same "
                "command again, or leave these features out"
            )
        return
    request = make_request(**query)
    out = out or Path(f"{default_stem(query['aoi'])}.zarr")
    result = build(request, out, threads=threads, overwrite=overwrite, progress=True)
    print_summary(_describe_cube(result, mask), as_json=as_json)


def _describe_cube(result: BuildResult, mask: str) -> dict[str, object]:
    cube, request = open_raw(result.path), result.plan.request
    days = [str(day.day) for day in result.plan.days]
    return {
        "cube": str(result.path),
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


def _describe_fields(fields: FieldsResult, *, as_json: bool) -> dict[str, object]:
    dates = [len(cube.plan.days) for cube in fields.cubes]
    failed = {str(number): why for number, why in fields.failed.items()}
    return {
        "folder": str(fields.folder),
        "cubes": len(fields.cubes),
        "failed": failed if as_json else [f"{name}: {why}" for name, why in failed.items()] or "none",
        "zones": sorted({cube.plan.request.grid.crs for cube in fields.cubes}),
        "dates": [min(dates), max(dates)] if as_json else f"{min(dates)} to {max(dates)} a cube",
        "bands": fields.cubes[0].plan.request.bands,
        "resolution_m": fields.cubes[0].plan.request.grid.resolution_m,
        "units": sum(cube.units for cube in fields.cubes),
        "units_resumed": sum(cube.resumed for cube in fields.cubes),
        "bytes": sum(cube.bytes_on_disk for cube in fields.cubes),
        "seconds": round(fields.seconds, 1),
    }

"""`sits-data build-cube`."""

from pathlib import Path
from typing import Any

import click

from sits_data.build import BuildOptions
from sits_data.build import build_cube as build
from sits_data.cli.building import building_options, describe_cube, exit_if_skipped
from sits_data.cli.options import Number, OutPath, json_option, print_summary
from sits_data.cli.query import default_stem, make_field_requests, make_request, query_options
from sits_data.errors import UnfinishedFields
from sits_data.fields import FieldsResult, build_fields


@click.command()
@query_options
@click.option(
    "--min-clear",
    type=Number(0, 1),
    default=0.0,
    show_default=True,
    metavar="FRACTION",
    help="Leave out days with a smaller clear fraction of the area, under --mask.",
)
@click.option(
    "--dilate",
    type=Number(0, 5000),
    default=0.0,
    show_default=True,
    metavar="METRES",
    help="Widen clouds, shadows and cirrus in qa.",
)
@click.option(
    "--erode",
    type=Number(0, 1000),
    default=0.0,
    show_default=True,
    metavar="METRES",
    help="Before that, drop clouds that hold no disk of this radius.",
)
@click.option(
    "--per-feature",
    is_flag=True,
    help="One cube for each feature of --aoi; --out is then a folder, and blocks that the feature does "
    "not touch are not read.",
)
@click.option("--out", type=OutPath, help="The cube.  [default: the area's file name + .zarr, here]")
@click.option("--overwrite", is_flag=True, help="Replace a cube that is there.")
@building_options
@json_option
def build_cube(
    *,
    mask: str,
    per_feature: bool,
    out: Path | None,
    overwrite: bool,
    options: BuildOptions,
    as_json: bool,
    **query: Any,
) -> None:
    """Build a cloud-masked Sentinel-2 cube over the bounding box of an area, or one of each feature.

    An interrupted run continues when the same command is started again. Exit codes: 0 complete,
    3 complete but for units that could not be read, 4 stopped with units finished: start it again.

    \b
    sits-data build-cube --aoi field.geojson
    sits-data build-cube --aoi field.geojson --start 2024-03-01 --end 2024-10-31 --bands B02,B03,B04,B08
    sits-data build-cube --aoi fields.gpkg --per-feature --out fields
    """
    if per_feature:
        requests = make_field_requests(mask=mask, **query)
        folder = out or Path(f"{default_stem(query['aoi'])}-cubes")
        fields = build_fields(requests, folder, options=options, overwrite=overwrite, progress=True)
        print_summary(_describe_fields(fields, as_json=as_json), as_json=as_json)
        if fields.failed:
            raise UnfinishedFields(
                f"{len(fields.failed)} of {len(requests)} cubes could not be built; run the same "
                "command again, or leave these features out"
            )
        exit_if_skipped(sum(len(cube.failed) for cube in fields.cubes))
        return
    request = make_request(mask=mask, **query)
    out = out or Path(f"{default_stem(query['aoi'])}.zarr")
    result = build(request, out, options=options, overwrite=overwrite, progress=True)
    print_summary(describe_cube(result, mask), as_json=as_json)
    exit_if_skipped(len(result.failed))


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

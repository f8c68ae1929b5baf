"""`sits-data info`."""

import json
from collections.abc import Iterator
from pathlib import Path

import click
from pydantic_core import to_jsonable_python

from sits_data.cli.options import MASK, OutPath, json_option, print_summary
from sits_data.describe import CubeInfo, MergedInfo, StoreInfo, date_lines, describe
from sits_data.manifest import Chips, Features, Parcels, Points, Regions, Superpixels


@click.command()
@click.argument("path", type=OutPath)
@click.option(
    "--mask",
    type=MASK,
    help="What counts as clear in a cube.  [default: standard; a store has its own]",
)
@json_option
def info(*, path: Path, mask: str | None, as_json: bool) -> None:
    """Describe a cube, finished or not, or a planar store.

    \b
    sits-data info field.zarr
    sits-data info field.planar --json
    """
    found = describe(path, mask=mask)
    if as_json:
        click.echo(json.dumps(to_jsonable_python(found)))
    elif isinstance(found, CubeInfo):
        _print_cube(found)
    elif isinstance(found, StoreInfo):
        _print_store(found)
    else:
        _print_merged(found)


def _print_cube(cube: CubeInfo) -> None:
    left, bottom, right, top = cube.bounds
    axes = zip(cube.shape, ("dates", "bands", "rows", "columns"), strict=True)
    done = "?" if cube.units_done is None else cube.units_done
    state = "complete" if cube.complete else "unfinished: run the same build-cube again to go on"
    summary = {
        "cube": cube.path,
        "state": f"{state} ({done} of {cube.units} units)",
        "shape": " x ".join(f"{size} {axis}" for size, axis in axes),
        "bands": cube.bands,
        "grid": f"{cube.crs}, {cube.resolution_m} m",
        "bounds": f"{left:.0f}, {bottom:.0f} to {right:.0f}, {top:.0f}",
        "dates": _dates(cube),
        "clear": f"{cube.clear_pct} % ({cube.mask})",
        "quality bits": _quality(cube),
        "scenes": cube.scenes,
        "offsets": [f"{o.offset_dn} DN in {o.scenes} scenes ({o.source})" for o in cube.offsets],
        "catalog": f"{cube.catalog}, {cube.collection}",
        **_origin(cube),
        "plan": cube.plan,
        "item": cube.item or "none",
        "size": _megabytes(cube.size_bytes),
    }
    print_summary(summary, as_json=False)
    for dropped in cube.dropped or ():
        click.echo(f"left out: {dropped.id} ({dropped.reason})")
    if cube.dropped is None and cube.derived is None:
        click.echo("left out: unknown, the plan is not beside the cube")
    click.echo("\nclear pixels of each date")
    for line in date_lines(cube.clear_pct_by_date):
        click.echo(line)


def _quality(cube: CubeInfo) -> str:
    if cube.qa is None:
        return "unknown, the plan is not beside the cube" if cube.derived is None else "of its source"
    distances = {"erode": cube.qa.erode_m, "dilate": cube.qa.dilate_m}
    return ", ".join(
        [" + ".join(cube.qa.detectors)]
        + [f"{name} {metres:g} m" for name, metres in distances.items() if metres]
    )


def _origin(cube: CubeInfo) -> dict[str, str]:
    """How a derived cube was made."""
    if cube.derived is None:
        return {}
    settings = cube.derived["settings"]
    assert isinstance(settings, dict)
    how = ", ".join(f"{name} {value}" for name, value in settings.items())
    return {"made from": f"{cube.derived['from']} by {cube.derived['method']} ({how})"}


def _print_store(store: StoreInfo) -> None:
    smallest, median, largest = store.pixels_per_region
    made_of = _source_of(store.recipe.regions)
    summary = {
        "store": store.path,
        "regions": f"{store.regions} of {smallest} to {largest} pixels, median {median} ({made_of})",
        "pixels": store.pixels,
        "left out": [f"{count} {reason}" for reason, count in store.dropped.items()] or "none",
        "dates": _dates(store),
        "bands": store.bands,
        "grid": f"{store.crs}, {store.resolution_m} m",
        "orders": store.orders or "none",
        "mask": store.mask,
        "labels": store.labels or "none",
        "shards": store.shards,
        "cube": f"{store.cube.get('path')}, {store.cube.get('scenes')} scenes, "
        f"plan {store.cube.get('plan')}",
        "made by": store.software,
        "item": store.item or "none",
        "size": _megabytes(store.size_bytes),
    }
    print_summary(summary, as_json=False)
    if store.classes:
        click.echo()
        for line in _class_table(store):
            click.echo(line)


def _print_merged(store: MergedInfo) -> None:
    smallest, median, largest = store.pixels_per_region
    fewest, most = store.dates_per_part
    source = _source_of(store.recipe.regions)
    summary = {
        "merged store": store.path,
        "parts": f"{store.parts}, and {store.empty} cubes without a region",
        "regions": f"{store.regions} of {smallest} to {largest} pixels, median {median} ({source})",
        "pixels": store.pixels,
        "dates": f"{fewest} to {most} a part, {store.first} to {store.last}",
        "bands": store.bands,
        "grids": f"{', '.join(store.zones)}, {store.resolution_m} m",
        "orders": store.orders or "none",
        "mask": store.mask,
        "classes": [f"{name}: {count}" for name, count in store.classes.items()] or "none",
        "made by": store.software,
        "size": _megabytes(store.size_bytes),
    }
    print_summary(summary, as_json=False)


def _source_of(regions: Regions) -> str:
    match regions:
        case Features():
            return "the cube's own area"
        case Parcels():
            return regions.path
        case Points():
            return f"{regions.size_px} x {regions.size_px} px around {regions.path}"
        case Chips():
            return f"chips of {regions.size_px} px"
        case Superpixels():
            return f"superpixels of about {regions.size_px} px"


def _class_table(store: StoreInfo) -> Iterator[str]:
    width = max(len("class"), *(len(one.name) for one in store.classes))
    yield f"label    code  {'class':<{width}}  regions   pixels"
    for one in store.classes:
        code = "" if one.code is None else one.code
        yield f"{one.label:>5}  {code:>6}  {one.name:<{width}}  {one.regions:>7}  {one.pixels:>7}"


def _dates(found: CubeInfo | StoreInfo) -> str:
    dates = found.dates
    rhythm = "" if dates.median_gap_days is None else f", median gap {dates.median_gap_days:g} days"
    return f"{dates.count}, {dates.first} to {dates.last}{rhythm}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"

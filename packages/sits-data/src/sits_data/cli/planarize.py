"""`sits-data planarize`."""

from pathlib import Path

import click

from sits_data.cli.options import MASK, OutPath, json_option, print_summary
from sits_data.errors import InvalidRequest
from sits_data.manifest import (
    Chips,
    ColumnLabels,
    Features,
    Parcels,
    Points,
    RasterLabels,
    Recipe,
    Regions,
    Superpixels,
)
from sits_data.orders import ORDERS, parse_order
from sits_data.store.merge import MergedSummary, find_cubes, planarize_all
from sits_data.store.write import Summary
from sits_data.store.write import planarize as write_store


def _parse_orders(_context: click.Context, _option: click.Parameter, text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        try:
            parse_order(name)
        except InvalidRequest as error:
            raise click.BadParameter(str(error)) from error
    return names


@click.command()
@click.argument("cubes", metavar="CUBE...", type=OutPath, nargs=-1, required=True)
@click.option("--regions", metavar="FILE", help="Parcels: GeoPackage, GeoJSON or GeoParquet.")
@click.option("--shrink", "shrink_m", type=float, metavar="M", help="Take M metres off along parcels.")
@click.option("--all-touched", is_flag=True, help="Parcels have the pixels that they touch, too.")
@click.option("--around", type=int, metavar="N", help="--regions are points: N x N pixels around each.")
@click.option(
    "--chips",
    type=click.IntRange(max=100_000),
    metavar="N",
    help="Instead of parcels, windows of N x N pixels.",
)
@click.option(
    "--stride", type=int, metavar="N", help="From one chip to the next.  [default: their size]"
)
@click.option("--superpixels", type=int, metavar="N", help="Instead, alike pixels, about N together.")
@click.option(
    "--min-pixels", type=int, default=1, show_default=True, help="Leave out regions with fewer."
)
@click.option("--label-field", metavar="NAME", help="Column of --regions that holds class codes.")
@click.option(
    "--name-field",
    metavar="NAME",
    help="Column that holds class names.  [default: STEM_name for a label field STEM_code]",
)
@click.option("--labels", metavar="RASTER", help="Class codes of pixels; 0 and nodata: unlabelled.")
@click.option("--legend", metavar="JSON", help="Class names of --labels.")
@click.option(
    "--orders",
    default="hilbert,snake",
    show_default=True,
    callback=_parse_orders,
    help=f"Curves to store, some of {', '.join(ORDERS)}, or a dihedral variant such as hilbert:5; walks "
    "need no storage.",
)
@click.option(
    "--mask",
    type=MASK,
    default="standard",
    show_default=True,
    help="Which observations count as unclear; values are kept.",
)
@click.option(
    "--block-m",
    type=int,
    default=1000,
    show_default=True,
    help="Side of the blocks that spatial splits keep together.",
)
@click.option("--shard-mb", type=int, default=256, show_default=True, help="Aim at files of this size.")
@click.option("--out", type=OutPath, help="The store.  [default: the cube's stem + .planar, here]")
@click.option("--overwrite", is_flag=True, help="Replace a planar store that is there.")
@click.option("--threads", type=click.IntRange(1, 256), help="Threads.  [default: the cores]")
@json_option
def planarize(
    *,
    cubes: tuple[Path, ...],
    regions: str | None,
    shrink_m: float | None,
    all_touched: bool,
    around: int | None,
    chips: int | None,
    stride: int | None,
    superpixels: int | None,
    min_pixels: int,
    label_field: str | None,
    name_field: str | None,
    labels: str | None,
    legend: str | None,
    orders: tuple[str, ...],
    mask: str,
    block_m: int,
    shard_mb: int,
    out: Path | None,
    overwrite: bool,
    threads: int | None,
    as_json: bool,
) -> None:
    """Write the pixels of a cube's parcels, or of other regions, as a planar store.

    Without --regions, --chips or --superpixels each polygon that the cube was built for is a region.
    Several cubes, or a folder of cubes, make one merged store. An interrupted run continues when the
    same command is started again.

    \b
    sits-data planarize field.zarr --regions parcels.gpkg --label-field crop_code
    sits-data planarize field.zarr --chips 32 --labels crops.tif --legend crops.json
    sits-data planarize fields --out fields.planar
    """
    recipe = Recipe(
        regions=_choose_regions(
            regions,
            shrink_m=shrink_m,
            all_touched=all_touched,
            around=around,
            chips=chips,
            stride=stride,
            superpixels=superpixels,
            min_pixels=min_pixels,
        ),
        labels=_choose_labels(regions, label_field, name_field, labels, legend),
        orders=orders,
        mask=mask,
        block_m=block_m,
        shard_mb=shard_mb,
    )
    out = out or Path(f"{cubes[0].resolve().stem}.planar")
    found = find_cubes(cubes)
    done: Summary | MergedSummary
    if len(found) == 1:
        done = write_store(
            found[0], out, recipe=recipe, overwrite=overwrite, threads=threads, progress=True
        )
    else:
        done = planarize_all(
            found, out, recipe=recipe, overwrite=overwrite, threads=threads, progress=True
        )
    print_summary(done.shown(as_json=as_json), as_json=as_json)


def _choose_regions(
    regions: str | None,
    *,
    shrink_m: float | None,
    all_touched: bool,
    around: int | None,
    chips: int | None,
    stride: int | None,
    superpixels: int | None,
    min_pixels: int,
) -> Regions:
    if sum(one is not None for one in (regions, chips, superpixels)) > 1:
        raise click.UsageError(
            "regions are --regions parcels.gpkg, --chips 32 or --superpixels 200, not several of them"
        )
    if around is not None and regions is None:
        raise click.UsageError("--around is for points; name their file with --regions")
    if stride is not None and chips is None:
        raise click.UsageError("--stride is for chips; give --chips too")
    squares = chips is not None or superpixels is not None or around is not None
    if (shrink_m is not None or all_touched) and squares:
        raise click.UsageError("--shrink and --all-touched are for polygons; give --regions of them")
    if chips is not None:
        return Chips(size_px=chips, stride_px=stride, min_pixels=min_pixels)
    if superpixels is not None:
        return Superpixels(size_px=superpixels, min_pixels=min_pixels)
    if regions is None:
        return Features(min_pixels=min_pixels, shrink_m=shrink_m or 0, all_touched=all_touched)
    if around is not None:
        return Points(path=regions, size_px=around, min_pixels=min_pixels)
    return Parcels(path=regions, min_pixels=min_pixels, shrink_m=shrink_m or 0, all_touched=all_touched)


def _choose_labels(
    regions: str | None,
    label_field: str | None,
    name_field: str | None,
    labels: str | None,
    legend: str | None,
) -> ColumnLabels | RasterLabels | None:
    if label_field and labels:
        raise click.UsageError("labels come from --label-field or from --labels, not from both")
    if label_field and not regions:
        raise click.UsageError("--label-field is a column of --regions; give chips a --labels raster")
    if name_field and not label_field:
        raise click.UsageError("--name-field names the classes of --label-field; give that too")
    if legend and not labels:
        raise click.UsageError("--legend names the classes of --labels; give that too")
    if labels:
        return RasterLabels(path=labels, legend=legend)
    return ColumnLabels(field=label_field, name_field=name_field) if label_field else None

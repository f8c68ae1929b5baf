"""`sits-data mask`."""

from pathlib import Path

import click

from sits_data.cli.options import MASK, Number, OutPath, json_option, print_summary
from sits_data.cube import open_raw
from sits_data.mask import QaSettings
from sits_data.mask.shape import MAX_DILATE_M, MAX_ERODE_M
from sits_data.remask import remask


@click.command()
@click.argument("cube", type=OutPath)
@click.option(
    "--dilate",
    type=Number(0, MAX_DILATE_M),
    default=0.0,
    show_default=True,
    metavar="M",
    help="Widen clouds, shadows and cirrus by so many metres.",
)
@click.option(
    "--erode",
    type=Number(0, MAX_ERODE_M),
    default=0.0,
    show_default=True,
    metavar="M",
    help="Before that, drop specks that hold no disk of so many metres around a pixel.",
)
@click.option(
    "--detector",
    "detectors",
    metavar="NAME[:ARGUMENT]",
    multiple=True,
    default=("scl",),
    show_default=True,
    help="Who finds clouds; given several times, findings are united: scl, omnicloudmask, "
    "s2cloudless:L1C_CATALOG, probability:RASTER[:THRESHOLD], classes:RASTER:1=cloud,3=shadow, or one "
    "of a plug-in. Without scl, its clouds, shadows and cirrus do not count.",
)
@click.option(
    "--mask",
    type=MASK,
    default="standard",
    show_default=True,
    help="What the summary counts as clear.",
)
@click.option("--threads", type=click.IntRange(1, 256), help="Threads.  [default: the cores]")
@json_option
def mask(
    *,
    cube: Path,
    dilate: float,
    erode: float,
    detectors: tuple[str, ...],
    mask: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Make the quality bits of a finished cube anew, from its own pixels.

    Values and scl stay as they are; planar stores that were made before keep the bits that they have.
    An interrupted run continues when the same command is started again.

    \b
    sits-data mask field.zarr --dilate 60
    sits-data mask field.zarr --detector scl --detector omnicloudmask --erode 20 --dilate 60
    sits-data mask field.zarr --detector probability:clouds.tif:0.4
    """
    settings = QaSettings(dilate_m=dilate, erode_m=erode, detectors=detectors)
    before = open_raw(cube).clear_fraction(mask).mean()
    done = remask(cube, settings, threads=threads, progress=True)
    after = open_raw(cube).clear_fraction(mask).mean()
    summary = {
        "cube": str(done.path),
        "detectors": list(settings.detectors),
        "dilate_m": dilate,
        "erode_m": erode,
        "units": done.units,
        "units_resumed": done.resumed,
        "mask": mask,
        "clear_pct_before": round(100 * float(before), 1),
        "clear_pct": round(100 * float(after), 1),
        "seconds": round(done.seconds, 1),
    }
    print_summary(summary, as_json=as_json)

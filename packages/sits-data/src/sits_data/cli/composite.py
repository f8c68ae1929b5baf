"""`sits-data composite`."""

from pathlib import Path
from typing import get_args

import click

from sits_data.cli.deriving import default_out, derive_options, print_derived
from sits_data.cli.options import OutPath
from sits_data.composite import Compositing, Method
from sits_data.derive import Run, composite_cube


@click.command()
@derive_options
@click.option(
    "--period",
    default="P1M",
    show_default=True,
    help="P1M, P3M: calendar months; P10D: so many days from 1 January; P1Y; dekad: 1st, 11th, 21st.",
)
@click.option(
    "--method",
    type=click.Choice(get_args(Method)),
    default="median",
    show_default=True,
    help="Median of each band; or all bands of one date: the most typical, the least cloudy, the "
    "greenest; or how many dates were clear.",
)
@click.option("--out", type=OutPath, help="The new cube.  [default: the cube's stem + -PERIOD.zarr]")
def composite(
    *,
    cube: Path,
    period: str,
    method: Method,
    mask: str,
    out: Path | None,
    overwrite: bool,
    threads: int | None,
    as_json: bool,
) -> None:
    """Write a new cube with one image a period, made of what was clear in it.

    An interrupted run continues when the same command is started again.

    \b
    sits-data composite field.zarr --period P1M --method median --out field-monthly.zarr
    sits-data composite field.zarr --period dekad --method medoid
    """
    settings = Compositing(period, method)
    done = composite_cube(
        cube,
        out or default_out(cube, period),
        settings=settings,
        mask=mask,
        run=Run(threads, overwrite=overwrite, progress=True),
    )
    print_derived(done, as_json=as_json)

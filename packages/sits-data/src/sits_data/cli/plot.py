"""`sits-data plot`."""

from pathlib import Path
from typing import get_args

import click

from sits_data.cli.options import MASK, OutPath
from sits_data.orders import OrderName
from sits_data.plot import Layout, Look
from sits_data.plot import plot as draw


def _parse_regions(
    _context: click.Context, _option: click.Parameter, text: str | None
) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise click.BadParameter(
            f"regions are numbers with commas, such as 3,17, got {text!r}"
        ) from error


@click.command()
@click.argument("path", type=OutPath)
@click.option("--out", type=OutPath, help="The PNG.  [default: the name of PATH + .png, here]")
@click.option(
    "--dates",
    type=click.IntRange(1, 60),
    help="Cube: how many to show.  [default: as many as fill two rows]",
)
@click.option("--mask", type=MASK, help="Cube: what is clear.  [default: standard]")
@click.option(
    "--region",
    "regions",
    metavar="N,N,…",
    callback=_parse_regions,
    help="Store: which to show, counted from 0, at most 4.  [default: three of different classes]",
)
@click.option(
    "--order", type=click.Choice(get_args(OrderName)), help="Store: the curve.  [default: hilbert]"
)
@click.option(
    "--layout",
    type=click.Choice(get_args(Layout)),
    help="Store: a map and some regions, one region alone, or one along every curve.  [default: map]",
)
@click.option(
    "--dpi",
    type=click.IntRange(50, 600),
    default=150,
    show_default=True,
    help="Dots per inch; pages are 13.33 inches wide.",
)
def plot(
    *,
    path: Path,
    out: Path | None,
    dates: int | None,
    mask: str | None,
    regions: tuple[int, ...],
    order: OrderName | None,
    layout: Layout | None,
    dpi: int,
) -> None:
    """Draw a cube or a planar store as a picture for a talk.

    A cube: some of its dates, and how clear all of them are. A store: its regions on a map, and some
    of them with the curve through their pixels and their planar image.

    \b
    sits-data plot field.zarr --dates 24
    sits-data plot field.planar --region 3,17 --order snake --out fields.png
    sits-data plot field.planar --region 3 --layout curves
    """
    look = Look(dates=dates, mask=mask, regions=regions, order=order, layout=layout, dpi=dpi)
    click.echo(draw(path, out or Path(f"{path.resolve().name}.png"), look))

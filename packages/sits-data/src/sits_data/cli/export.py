"""`sits-data export`."""

from dataclasses import asdict
from pathlib import Path
from typing import get_args

import click

from sits_data.cli.options import OutPath, json_option, print_summary
from sits_data.export import Curve, Form, Format
from sits_data.export import export as write_images
from sits_data.orders import ORDERS


def _parse_bands(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


@click.command()
@click.argument("store", type=OutPath)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(get_args(Format)),
    default="npz",
    show_default=True,
    help="A file a region, a Zarr group, tar shards, or pictures.",
)
@click.option(
    "--form",
    type=click.Choice(get_args(Form)),
    default="native",
    show_default=True,
    help="All dates and positions, or the paper's 224 x 224.",
)
@click.option(
    "--curve",
    default="hilbert",
    show_default=True,
    metavar="NAME",
    help=f"One image a region along {', '.join(ORDERS)} (or hilbert:5) or random; or one a walk (walk, "
    "walk:4,onward,iid) or line (x, y, line:1,2).",
)
@click.option(
    "--length", type=int, default=50, show_default=True, help="Positions of a walk; of a line at most."
)
@click.option("--fraction", type=float, default=0.7, show_default=True, help="Walks or lines a pixel.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of walks and shuffles.")
@click.option(
    "--bands",
    metavar="B08,…",
    callback=_parse_bands,
    help="Which.  [default: all; for the paper's form B08,B04,B03]",
)
@click.option("--year", type=int, help="Of the paper's form.  [default: the one with most dates]")
@click.option("--out", type=OutPath, help="The folder.  [default: the store's stem + -FORMAT, here]")
@click.option("--overwrite", is_flag=True, help="Replace an export that is there.")
@json_option
def export(
    *,
    store: Path,
    file_format: Format,
    form: Form,
    curve: str,
    length: int,
    fraction: float,
    seed: int,
    bands: tuple[str, ...],
    year: int | None,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write planar images themselves, each with its mask and the pixels it came from.

    \b
    sits-data export field.planar --format webdataset
    sits-data export field.planar --form cviu2021 --curve walk --format zarr
    """
    done = write_images(
        store,
        out or Path(f"{store.resolve().stem}-{file_format}"),
        file_format=file_format,
        form=form,
        curve=Curve(curve, length, fraction, seed),
        bands=bands or None,
        year=year,
        overwrite=overwrite,
        progress=True,
    )
    print_summary(asdict(done), as_json=as_json)

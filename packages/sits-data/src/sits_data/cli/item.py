"""`sits-data item`."""

from pathlib import Path

import click

from sits_data.cli.options import OutPath
from sits_data.describe import recognise
from sits_data.provenance import write_cube_item, write_store_item


@click.command()
@click.argument("path", type=OutPath)
@click.option(
    "--made-from",
    type=OutPath,
    metavar="CUBE",
    help="The cube that PATH was made from: needed for a planar store and for a derived cube.",
)
def item(*, path: Path, made_from: Path | None) -> None:
    """Write the STAC item of a cube or a planar store beside it, anew.

    The commands that make them do so too; this is for what was moved or changed since.

    \b
    sits-data item field.zarr
    sits-data item field.planar --made-from field.zarr
    """
    if recognise(path) == "cube":
        click.echo(write_cube_item(path, made_from=made_from))
    elif made_from is None:
        raise click.UsageError(f"{path} is a planar store; name its cube with --made-from CUBE")
    else:
        click.echo(write_store_item(path, cube=made_from))

"""`sits-data verify`."""

from pathlib import Path

import click

from sits_data.cli.options import OutPath, json_option, print_summary
from sits_data.store import open_parts, verify_store


@click.command()
@click.argument("store", type=OutPath)
@json_option
def verify(*, store: Path, as_json: bool) -> None:
    """Compare every file of a planar store, merged or not, with the checksum in its manifest.

    Prints how many were compared; the first that is missing or differs is an error.

    \b
    sits-data verify field.planar
    """
    files = verify_store(store)
    regions = sum(map(len, open_parts(store)))
    print_summary({"store": str(store), "files": files, "regions": regions}, as_json=as_json)

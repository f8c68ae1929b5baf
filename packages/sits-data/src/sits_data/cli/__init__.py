"""The `sits-data` command: one module of this folder a subcommand, imported when it is called."""

import click

from sits_data.commandline import Commands

COMMANDS = (
    "simulate",
    "search",
    "build-cube",
    "update",
    "status",
    "mask",
    "coregister",
    "composite",
    "gapfill",
    "indices",
    "planarize",
    "info",
    "item",
    "verify",
    "plot",
    "export",
)


@click.group(
    cls=Commands,
    package=__name__,
    commands=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="sits-data", prog_name="sits-data")
def main() -> None:
    """From a field outline to Sentinel-2 datacubes and planar images on disk.

    \b
    sits-data build-cube --aoi field.geojson
    sits-data planarize field.zarr --regions parcels.gpkg --label-field crop_code
    """

"""The `sits-data` command: one module of this folder a subcommand, imported when it is called."""

import importlib
import logging
import signal
import sys
import warnings

import click

from sits_data.errors import SitsDataError

COMMANDS = ("simulate", "search", "build-cube", "planarize", "info", "plot")


class Commands(click.Group):
    """Imports a subcommand when it is named, and turns our errors into one line.

    The command `build-cube` is the object `build_cube` of the module `sits_data.cli.build_cube`.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the workflow."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command = getattr(importlib.import_module(f"sits_data.cli.{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the subcommand; an error of ours becomes one line on stderr and its exit code."""
        # What libraries log or warn about an error, our one line says.
        logging.getLogger().addHandler(logging.NullHandler())
        # A scheduler's SIGTERM ends a run as Ctrl-C does: tidily.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with warnings.catch_warnings():
                if not sys.warnoptions:
                    warnings.simplefilter("ignore")
                return super().invoke(ctx)
        except SitsDataError as error:
            click.echo(f"sits-data: {' '.join(str(error).split())}", err=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("sits-data: interrupted; start the same command again", err=True)
            sys.exit(130)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sits-data", prog_name="sits-data")
def main() -> None:
    """From a field outline to Sentinel-2 datacubes and planar images on disk.

    \b
    sits-data build-cube --aoi field.geojson
    sits-data planarize field.zarr --regions parcels.gpkg --label-field crop_code
    """

"""`sits-data status`."""

import json
import sys
from pathlib import Path

import click
from pydantic_core import to_jsonable_python

from sits_data.cli.options import MASK, Number, OutPath, json_option, print_summary
from sits_data.status import CubeStatus, cube_status

SHOWN = 20


@click.command()
@click.argument("cube", type=OutPath)
@click.option(
    "--mask",
    type=MASK,
    default="standard",
    show_default=True,
    help="For units that were left unread: what counts as clear.",
)
@click.option(
    "--skip-below",
    type=Number(0, 1),
    default=0.0,
    show_default=True,
    metavar="FRACTION",
    help="And how much of a unit must be, to be worth reading.",
)
@json_option
def status(*, cube: Path, mask: str, skip_below: float, as_json: bool) -> None:
    """Say how far a cube is, also while it is being built.

    The exit code says it too: 0 complete, 3 complete but for units that could not be read, 4 not
    complete: the same build-cube goes on.

    \b
    sits-data status field.zarr
    sits-data status field.zarr --mask permissive --skip-below 0.05
    """
    found = cube_status(cube, mask=mask, skip_below=skip_below)
    if as_json:
        click.echo(json.dumps(to_jsonable_python(found)))
    else:
        _print(found, mask, skip_below)
    sys.exit(found.exit_code)


def _print(found: CubeStatus, mask: str, skip_below: float) -> None:
    done = found.ok + found.unread
    wanted = f"{found.worth_reading} worth reading under {mask}, at least {100 * skip_below:g} % clear"
    summary = {
        "cube": found.path,
        "state": found.progress,
        "units": f"{done} of {found.units} done",
        "unread": f"{found.unread} with too little clear ({wanted})" if found.unread else 0,
        "failed": len(found.failed),
        "damaged": found.damaged,
        "missing": found.missing,
        "whole to": found.whole_to or "no date yet",
    }
    print_summary(summary, as_json=False)
    for unit in found.failed[:SHOWN]:
        click.echo(f"failed: {unit.day}, block {unit.row}/{unit.col}: {unit.why}")
    if len(found.failed) > SHOWN:
        click.echo(f"… and {len(found.failed) - SHOWN} more (--json lists all)")

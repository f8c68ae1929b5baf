"""`sits-data verify`."""

from pathlib import Path

import click

from sits_data.cli.options import OutPath, json_option, print_summary
from sits_data.describe import recognise
from sits_data.errors import DamagedCube, InvalidRequest
from sits_data.status import cube_status
from sits_data.store import open_parts, verify_store
from sits_data.verify import verify_cube


@click.command()
@click.argument("path", type=OutPath)
@click.option(
    "--mend",
    is_flag=True,
    help="Note damaged units of a cube, so that the same build-cube reads them again.",
)
@json_option
def verify(*, path: Path, mend: bool, as_json: bool) -> None:
    """Compare every file of a cube or of a planar store with the checksum that was kept of it.

    Exit codes: 0 whole, 1 damaged, 3 whole but for units that could not be read, 4 not finished.

    \b
    sits-data verify field.zarr
    sits-data verify field.planar
    """
    if recognise(path) == "cube":
        _verify_cube(path, mend=mend, as_json=as_json)
        return
    if mend:
        raise InvalidRequest(f"{path} is a planar store; make it again with --overwrite")
    files = verify_store(path)
    regions = sum(map(len, open_parts(path)))
    print_summary({"store": str(path), "files": files, "regions": regions}, as_json=as_json)


def _verify_cube(path: Path, *, mend: bool, as_json: bool) -> None:
    found = verify_cube(path, mend=mend)
    state = cube_status(path) if found.compared_with == "checksums of its chunks" else None
    summary = {
        "cube": str(path),
        "state": state.progress if state else "derived, or without its ledger",
        "files": found.files,
        "compared_with": found.compared_with,
        "damaged": list(found.damaged) if as_json else len(found.damaged),
    }
    print_summary(summary, as_json=as_json)
    if found.damaged:
        mended = "they are noted: run the same build-cube command again to read them again"
        raise DamagedCube(
            f"{len(found.damaged)} chunks of {path} are damaged, the first: {found.damaged[0]}; "
            + (mended if found.mended else "sits-data verify --mend notes them for the next build-cube")
        )
    if state:
        raise SystemExit(state.exit_code)

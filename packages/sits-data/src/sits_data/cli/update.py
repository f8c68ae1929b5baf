"""`sits-data update`."""

from datetime import date, datetime
from pathlib import Path

import click

from sits_data.build import BuildOptions
from sits_data.cli.building import building_options, exit_if_skipped
from sits_data.cli.options import DAY, OutPath, json_option, print_summary
from sits_data.cli.query import last_complete_months
from sits_data.cube import QA_SETTINGS, open_raw
from sits_data.detectors import SCL
from sits_data.update import UpdateResult, update_cube


@click.command()
@click.argument("cube", type=OutPath)
@click.option("--end", type=DAY, help="Last day.  [default: end of the last complete month]")
@building_options
@json_option
def update(*, cube: Path, end: datetime | None, mask: str, options: BuildOptions, as_json: bool) -> None:
    """Add new dates to a finished cube.

    What the cube holds is not read again and not rewritten; it gets the new dates when all of them are
    there. An interrupted update continues when the same command is started again; exit codes are
    those of build-cube.

    \b
    sits-data update field.zarr --end 2026-10-31
    """
    last = end.date() if end else last_complete_months(1, date.today())[1]
    result = update_cube(cube, end=last, options=options, progress=True)
    print_summary(_describe(result, mask, as_json=as_json), as_json=as_json)
    detectors = open_raw(cube).attributes.get(QA_SETTINGS, {}).get("detectors", [SCL])
    if result.added and detectors != [SCL]:
        click.echo(
            f"sits-data: qa of the new dates is of {SCL} alone, that of the others of "
            f"{', '.join(detectors)}; run the same sits-data mask command again",
            err=True,
        )
    exit_if_skipped(len(result.failed))


def _describe(result: UpdateResult, mask: str, *, as_json: bool) -> dict[str, object]:
    clear = open_raw(result.path).clear_fraction(mask)[len(result.plan.days) - len(result.added) :]
    late: object = list(result.late) if as_json else len(result.late)
    return {
        "cube": str(result.path),
        "dates": len(result.plan.days),
        "dates_added": [str(day) for day in result.added] if as_json else len(result.added),
        "last_date": str(result.plan.days[-1].day),
        "scenes_too_late": late,
        "mask": mask,
        "clear_pct_added": round(100 * float(clear.mean()), 1) if len(clear) else None,
        "units_failed": len(result.failed),
        "seconds": round(result.seconds, 1),
    }

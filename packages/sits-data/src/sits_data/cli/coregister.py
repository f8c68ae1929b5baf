"""`sits-data coregister`."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click
import numpy as np

from sits_data.cli.options import DAY, MASK, OutPath, json_option, print_summary
from sits_data.coregistration import Corrected, Shifts, correct_cube, measure_shifts, write_shifts
from sits_data.cube import open_raw
from sits_data.plot.shifts import plot_shifts


@click.command()
@click.argument("cube", type=OutPath)
@click.option(
    "--reference", type=DAY, help="The date that lies at zero.  [default: the median of all dates]"
)
@click.option(
    "--mask",
    type=MASK,
    default="standard",
    show_default=True,
    help="What counts as clear.",
)
@click.option("--correct", is_flag=True, help="Write a cube in which each date is moved back.")
@click.option("--out", type=OutPath, help="That cube.  [default: CUBE's name + -corrected.zarr, here]")
@click.option("--overwrite", is_flag=True, help="Replace a corrected cube that is there.")
@click.option("--threads", type=click.IntRange(1, 256), help="Threads.  [default: the cores]")
@json_option
def coregister(
    *,
    cube: Path,
    reference: datetime | None,
    mask: str,
    correct: bool,
    out: Path | None,
    overwrite: bool,
    threads: int | None,
    as_json: bool,
) -> None:
    """Measure by how much the dates of a cube lie off each other; correct it on request.

    Writes the shifts to CUBE.state/shifts.zarr and a picture to CUBE.shifts.png; the cube itself
    stays as it is. Dates that are not clear enough are not measured, and not moved.

    \b
    sits-data coregister field.zarr
    sits-data coregister field.zarr --correct --out field-corrected.zarr
    """
    if out and not correct:
        raise click.UsageError("--out is for a corrected cube; add --correct, or leave --out out")
    source, day = open_raw(cube), reference.date() if reference else None
    shifts = measure_shifts(source, mask=mask, reference=day, threads=threads, progress=True)
    stored, picture = write_shifts(shifts, cube), cube.with_name(f"{cube.name}.shifts.png")
    plot_shifts(shifts, picture)
    summary = {"cube": str(cube), "shifts": str(stored), "picture": str(picture)} | _describe(shifts)
    if correct:
        out = out or Path(f"{cube.resolve().stem}-corrected.zarr")
        done = correct_cube(source, shifts, out, overwrite=overwrite, threads=threads, progress=True)
        summary |= _describe_corrected(done)
    if as_json:
        click.echo(json.dumps(summary | {"dates": list(_rows(shifts))}))
        return
    print_summary(summary, as_json=False)
    click.echo()
    for line in _table(shifts):
        click.echo(line)


def _describe(shifts: Shifts) -> dict[str, object]:
    distance = np.hypot(*shifts.shift_m[shifts.measured].T)
    return {
        "reference": shifts.reference,
        "matched_first_with": shifts.seed,
        "windows_px": shifts.window_px,
        "measured": int(shifts.measured.sum()),
        "not_measured": int((~shifts.measured).sum()),
        "median_m": round(float(np.median(distance)), 2),
        "largest_m": round(float(distance.max()), 2),
    }


def _describe_corrected(done: Corrected) -> dict[str, object]:
    return {
        "corrected": str(done.path),
        "moved": done.moved,
        "kept_within_a_tenth_of_a_pixel": done.kept,
        "left_as_they_are_unmeasured": done.unmeasured,
    }


def _rows(shifts: Shifts) -> Iterator[dict[str, object]]:
    """One dictionary a date; None where nothing was measured."""
    for time, day in enumerate(shifts.dates.astype("datetime64[D]")):
        found = np.round([shifts.shift_m[time], shifts.spread_m[time]], 2).tolist()
        (east, north), (spread_east, spread_north) = found if shifts.measured[time] else [[None] * 2] * 2
        yield {
            "date": str(day),
            "east_m": east,
            "north_m": north,
            "spread_east_m": spread_east,
            "spread_north_m": spread_north,
            "windows": int(shifts.windows[time]),
            "clear": int(shifts.clear[time]),
            "weak": int(shifts.weak[time]),
            "flat": int(shifts.flat[time]),
        }


def _table(shifts: Shifts) -> Iterator[str]:
    """The dates with a clear window; what is not measured says why by its counts."""
    yield "date        east m        north m       windows  clear  weak  flat"
    for row in _rows(shifts):
        if not row["clear"]:
            continue
        if row["east_m"] is None:
            place = f"{'not measured':<28}"
        else:
            east, north = (
                f"{row[f'{axis}_m']:+6.1f} ± {row[f'spread_{axis}_m']:.1f}" for axis in ("east", "north")
            )
            place = f"{east:<14}{north:<14}"
        counts = f"{row['windows']:>7}  {row['clear']:>5}  {row['weak']:>4}  {row['flat']:>4}"
        yield f"{row['date']}  {place}{counts}"
    cloudy = int((shifts.clear == 0).sum())
    if cloudy:
        yield f"and {cloudy} dates without a clear window"

"""`sits-data simulate`."""

from datetime import datetime
from pathlib import Path

import click

from sits_data.cli.options import DAY, OutPath, json_option, print_summary
from sits_data.simulate import simulate_catalog


@click.command()
@click.argument("out", type=OutPath)
@click.option("--seed", default=0, show_default=True, help="Another seed is another land and sky.")
@click.option("--size", default=336, show_default=True, help="Side of the scenes in 10 m pixels.")
@click.option(
    "--start", type=DAY, metavar="YYYY-MM-DD", default="2021-03-01", show_default=True, help="First day."
)
@click.option(
    "--end",
    type=DAY,
    metavar="YYYY-MM-DD",
    default="2022-10-31",
    show_default=True,
    help="Last day, 14 months on or more.",
)
@click.option("--dates", default=72, show_default=True, help="Acquisitions to keep, drawn at random.")
@click.option("--second-zone", is_flag=True, help="Add the tile of the neighbouring UTM zone.")
@click.option("--split-strips", is_flag=True, help="Deliver every third pass in two halves.")
@click.option(
    "--wrong-flags", is_flag=True, help="Flag offsets wrongly on some scenes after 2022-01-25."
)
@click.option("--snow", is_flag=True, help="Let snow lie on half of the winter's days.")
@click.option("--overwrite", is_flag=True, help="Replace a simulated catalogue that is there.")
@json_option
def simulate(
    *,
    out: Path,
    seed: int,
    size: int,
    start: datetime,
    end: datetime,
    dates: int,
    second_zone: bool,
    split_strips: bool,
    wrong_flags: bool,
    snow: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write a simulated Sentinel-2 L2A catalogue, and its truth, into the folder OUT.

    \b
    sits-data simulate farmland --seed 7
    sits-data simulate small --size 96 --dates 24 --second-zone
    """
    made = simulate_catalog(
        out,
        seed=seed,
        size_px=size,
        start=start.date(),
        end=end.date(),
        dates=dates,
        second_zone=second_zone,
        split_strips=split_strips,
        wrong_flags=wrong_flags,
        snow=snow,
        overwrite=overwrite,
        progress=True,
    )
    summary = {
        "catalog": made.catalog,
        "area_of_interest": made.aoi,
        "parcels": made.parcels,
        "truth": made.truth,
        "first_day": made.start,
        "last_day": made.end,
        "dates": made.n_dates,
        "scenes": made.n_scenes,
        "parcel_count": made.n_parcels,
    }
    print_summary(summary, as_json=as_json)
    if not as_json:
        click.echo(
            f"\ntry next\n  sits-data build-cube --aoi {made.aoi} --catalog {made.catalog}"
            f" --start {start:%Y-%m-%d} --end {end:%Y-%m-%d}"
            f"\n  sits-data planarize aoi.zarr --regions {made.parcels} --label-field crop_code"
        )

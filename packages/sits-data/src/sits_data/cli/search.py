"""`sits-data search`."""

from typing import Any

import click

from sits_data.access import known_catalog
from sits_data.cli.options import json_option
from sits_data.cli.query import make_request, query_options
from sits_data.planning import plan_cube


@click.command()
@query_options
@json_option
def search(*, as_json: bool, **query: Any) -> None:
    """List the scenes that build-cube would read, and those it would leave out.

    \b
    sits-data search --aoi field.geojson --start 2024-05-01 --end 2024-05-31
    """
    plan = plan_cube(make_request(**query))
    if as_json:
        click.echo(plan.model_dump_json())
        return
    for day in plan.days:
        for scene in day.scenes:
            cloud = "     ?" if scene.cloud_pct is None else f"{scene.cloud_pct:6.1f}"
            click.echo(
                f"{day.day}  {cloud} % cloud  baseline {scene.baseline or '?':5}  "
                f"offset {scene.offset_dn:5d}  {scene.id}"
            )
    for dropped in plan.dropped:
        click.echo(f"left out: {dropped.id} ({dropped.reason})")
    click.echo(f"{len(plan.scenes)} scenes on {len(plan.days)} days, {len(plan.dropped)} left out")
    asked = plan.request
    known = known_catalog(asked.catalog)
    where = asked.catalog if known is None else f"{asked.catalog} ({known.address})"
    click.echo(f"{asked.collection} of {where}, {asked.start} to {asked.end}")

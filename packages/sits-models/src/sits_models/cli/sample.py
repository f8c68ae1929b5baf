"""`sits-models sample`."""

import json
from pathlib import Path

import click

from sits_data.store import open_store


@click.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--region", default=0, show_default=True, help="Which region, counted from 0.")
@click.option("--order", help="Curve through its pixels.  [default: the store's first]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def sample(*, store: Path, region: int, order: str | None, as_json: bool) -> None:
    """Show one training sample of a planar store: each tensor's shape, type and range.

    \b
    sits-models sample field.planar --region 3 --order snake
    """
    regions = len(open_store(store))  # refuse before torch is imported, which takes seconds
    if not 0 <= region < regions:
        raise click.BadParameter(f"the store has regions 0 to {regions - 1}, got {region}")
    from sits_models.data.planar import PlanarDataset, describe_sample

    rows = describe_sample(PlanarDataset(store, order=order)[region])
    if as_json:
        click.echo(json.dumps({key: row._asdict() for key, row in rows.items()}))
        return
    for key, row in rows.items():
        shape = " x ".join(map(str, row.shape)) or "scalar"
        click.echo(f"{key:7} {row.dtype:8} {shape:14} {row.min:g} to {row.max:g}")

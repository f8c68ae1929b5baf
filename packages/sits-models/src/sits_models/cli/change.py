"""`sits-models change`."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from sits_models.cli.options import OutPath


@click.command()
@click.option("--checkpoint", type=OutPath, required=True, help="Run folder of pretrain or finetune.")
@click.option("--store", type=OutPath, help="Of one cube.  [default: the only *.planar here]")
@click.option("--period", metavar="DATE", required=True, help="First day of the second period.")
@click.option(
    "--unchanged",
    metavar="CODE",
    help="Class of the regions that did not change: half of "
    "them set the threshold.  [default: halves of each period do]",
)
@click.option(
    "--false-alarms",
    type=float,
    default=0.05,
    show_default=True,
    help="Share of unchanged pairs that may lie above the threshold.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the half that sets it.")
@click.option("--device", help="cpu, cuda, cuda:1, ...  [default: a GPU if there is one]")
@click.option(
    "--out",
    type=OutPath,
    default=Path("changes.gpkg"),
    show_default=True,
    help="The regions, with distance and changed.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")  # fmt: skip
def change(
    *,
    checkpoint: Path,
    store: Path | None,
    period: str,
    unchanged: str | None,
    false_alarms: float,
    seed: int,
    device: str | None,
    out: Path,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Find what changed between two periods, without labels, by a frozen backbone.

    Labelled changes are learned by finetune, with --model sits_models.tasks.ChangeDetection.

    \b
    sits-models change --checkpoint runs/simclr --store field.planar --period 2022-01-01
    sits-models change --checkpoint runs/simclr --period 2022-01-01 --unchanged 0 --false-alarms 0.1
    """
    from sits_models.change import detect_changes
    from sits_models.data.stores import find_stores

    found = asdict(
        detect_changes(
            checkpoint, store or find_stores()[0], out, period=period, unchanged=unchanged,
            false_alarms=false_alarms, seed=seed, device=device, overwrite=overwrite, progress=True,
        )
    ) | {"out": str(out)}  # fmt: skip
    if as_json:
        click.echo(json.dumps(found))
        return
    for name, value in found.items():
        text = f"{value:.3g}" if isinstance(value, float) else "unknown" if value is None else value
        click.echo(f"{name.replace('_', ' '):13} {text}")

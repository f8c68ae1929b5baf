"""`sits-models bench`."""

from pathlib import Path

import click

from sits_models.cli.options import OutPath


@click.command()
@click.argument("config", type=OutPath)
@click.option("--out", type=OutPath, help="Folder of cells and tables.  [default: runs/NAME of CONFIG]")
@click.option(
    "--reproduce",
    metavar="ROW",
    help="Make a row again, ENTRY or ENTRY, READER, and compare it with what was kept.",
)
@click.option("--device", help="cpu, cuda, cuda:1, ...  [default: a GPU if there is one]")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as a JSON list.")  # fmt: skip
def bench(
    *, config: Path, out: Path | None, reproduce: str | None, device: str | None, as_json: bool
) -> None:
    """Judge models on labelled stores: floors, seeds, budgets of labels, intervals.

    Goes on where it was stopped. CONFIG is a YAML file:

    \b
    stores: [field.planar]
    entries:
      - {name: simclr, checkpoint: runs/simclr}
      - {name: tempcnn, backbone: tempcnn}
    budgets: [5 shots, 10 %, all]
    seeds: 5
    settings: {trainer.max_steps: 300}

    \b
    sits-models bench bench.yaml
    sits-models bench bench.yaml --reproduce "simclr, linear"
    """
    import json

    from sits_models.judge import judge
    from sits_models.judge import reproduce as make_again

    folder = out or Path("runs") / config.stem
    if reproduce is not None:
        count = make_again(config, folder, reproduce, device=device)
        click.echo(f"{reproduce}: all {count} predictions are the same")
        return
    found = judge(config, folder, device=device, progress=True)
    if as_json:
        click.echo(json.dumps([row.model_dump() for row in found.rows]))
        return
    click.echo(f"{found.text}\n\n{found.filled} cells filled, {found.kept} kept, in {folder}")

"""`sits-models report`."""

from pathlib import Path

import click

from sits_models.cli.options import OutPath


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=OutPath)
@click.option("--map", "maps", metavar="FILE", multiple=True, type=OutPath,
              help="A map of predict, besides those noted in the runs; may be given again.")  # fmt: skip
@click.option("--cube", type=OutPath, help="Shown beside the maps.  [default: the one that was mapped]")
@click.option("--out", type=OutPath, default=Path("report.html"), show_default=True,
              help="The page; one that is there is replaced.")  # fmt: skip
def report(*, runs: tuple[Path, ...], maps: tuple[Path, ...], cube: Path | None, out: Path) -> None:
    """Show runs on one page: data, views, curves, scores beside floors, maps, embeddings.

    Probes within a run come along, and the run that a classifier began with. Folders of bench and
    explain show models compared, with intervals, and what a classifier looked at. The page is one file
    that loads nothing from a network.

    \b
    sits-models report runs/finetune --out report.html
    sits-models report bench explained --out compared.html
    sits-models report runs/simclr runs/dino --map map.tif
    """
    from sits_models.report import report as write

    click.echo(write(runs, out, maps=maps, cube=cube))

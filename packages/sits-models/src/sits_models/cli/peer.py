"""`sits-models peer`."""

import re
from pathlib import Path

import click

from sits_models.cli.options import OutPath

_PLACE = re.compile(r"(-?\d+(?:\.\d+)?),(-?\d+(?:\.\d+)?)")


def _read_place(_: click.Context, __: click.Parameter, text: str) -> tuple[float, float]:
    found = _PLACE.fullmatch(text)
    if not found or abs(float(found[1])) > 90 or abs(float(found[2])) > 180:
        raise click.BadParameter(f"degrees north and east, such as 50.7,4.1, got {text}")
    return float(found[1]), float(found[2])


@click.command()
@click.argument("name", type=click.Choice(["presto"]))
@click.argument("weights", type=OutPath)
@click.option(
    "--latlon",
    metavar="LAT,LON",
    required=True,
    callback=_read_place,
    help="Of the place that it will be used at, in degrees.",
)
@click.option("--out", type=OutPath, help="The run folder.  [default: runs/NAME]")
@click.option("--overwrite", is_flag=True, help="Replace a run that is there.")  # fmt: skip
def peer(
    *, name: str, weights: Path, latlon: tuple[float, float], out: Path | None, overwrite: bool
) -> None:
    """Make a checkpoint of the weights of others, to be judged by probe and bench.

    Presto: the file default_model.pt of github.com/nasaharvest/presto, or TorchGeo's.

    \b
    sits-models peer presto default_model.pt --latlon 50.7,4.1
    sits-models probe --checkpoint runs/presto --store field.planar
    """
    from sits_models.peers import import_presto

    folder = out or Path("runs") / name
    card = import_presto(weights, folder, latlon=latlon, overwrite=overwrite)
    click.echo(f"{card.backbone} from {weights.name}, {card.licence}, in {folder}")

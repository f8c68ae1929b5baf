"""`sits-models predict`."""

import json
from pathlib import Path

import click

from sits_models.cli.options import OutPath


@click.command()
@click.option("--checkpoint", type=OutPath, required=True, help="Run folder of probe or finetune.")
@click.option("--cube", type=OutPath, required=True, help="What sits-data build-cube wrote.")
@click.option("--out", type=OutPath, default=Path("map.tif"), show_default=True,
              help="Classes; probabilities go to NAME.prob.tif beside it.")  # fmt: skip
@click.option("--period", metavar="DATE",
              help="Of a classifier that compares each period with the one before: the period whose "
              "changes are drawn, by its first day.")  # fmt: skip
@click.option("--chips", "chip_px", type=click.IntRange(1, 4096), default=32, show_default=True,
              metavar="N", help="The cube is read in windows of N x N pixels.")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True,
              help="Curve windows at once.")  # fmt: skip
@click.option("--device", help="cpu, cuda, cuda:1, ...  [default: a GPU if there is one]")
@click.option("--threads", type=click.IntRange(1, 256), help="That read.  [default: the cores]")
@click.option("--overwrite", is_flag=True, help="Replace a map that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def predict(
    *,
    checkpoint: Path,
    cube: Path,
    out: Path,
    period: str | None,
    chip_px: int,
    batch_size: int,
    device: str | None,
    threads: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Map a cube with a trained classifier: classes, and the probability of each.

    \b
    sits-models predict --checkpoint runs/finetune --cube field.zarr --out map.tif
    """
    from sits_models.predict import predict as draw

    done = draw(
        checkpoint,
        cube,
        out,
        period=period,
        chip_px=chip_px,
        batch_size=batch_size,
        device=device,
        threads=threads,
        overwrite=overwrite,
        progress=True,
    )
    shown = done.shown(as_json=as_json)
    if as_json:
        click.echo(json.dumps(shown))
        return
    for name, value in shown.items():
        click.echo(f"{name.replace('_', ' '):<13}  {value}")

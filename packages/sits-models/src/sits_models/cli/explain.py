"""`sits-models explain`."""

import json
from pathlib import Path

import click

from sits_models.cli.options import OutPath


class _Share(click.ParamType[float]):
    """A whole number, or a share with a point in it."""

    name = "number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """A number of walks stays whole."""
        try:
            return float(str(value)) if "." in str(value) else int(str(value))
        except ValueError:
            self.fail(f"{value} is no number", param, ctx)


@click.command()
@click.option("--checkpoint", type=OutPath, required=True, help="Run folder of probe or finetune.")
@click.option("--store", type=OutPath, help="Of one cube.  [default: the only *.planar here]")
@click.option("--out", type=OutPath, default=Path("explained"), show_default=True,
              help="The folder to make.")  # fmt: skip
@click.option("--region", "regions", type=int, multiple=True, metavar="N",
              help="Look at this one; may be given again.  [default: all]")  # fmt: skip
@click.option("--walks", type=_Share(), metavar="N|SHARE",
              help="Of each region: 8, or 0.7 of its pixels.  [default: as in training]")  # fmt: skip
@click.option("--order", help="A curve, such as hilbert or walk:iid.  [default: as in training]")
@click.option("--length", type=click.IntRange(min=1), metavar="N",
              help="Positions of an image.  [default: as in training]")  # fmt: skip
@click.option("--dates", "rule", type=click.Choice(["otsu", "intersection", "quantile"]), default="otsu",
              show_default=True, help="Which dates are worth keeping.")  # fmt: skip
@click.option("--quantile", type=float, default=0.5, show_default=True, help="Of --dates quantile.")
@click.option("--unweighted", is_flag=True, help="Do not multiply saliency by the class's probability.")
@click.option("--figures", type=click.IntRange(min=0), default=6, show_default=True, metavar="N",
              help="Draw so many regions, the most mixed ones.")  # fmt: skip
@click.option("--intruders", type=click.IntRange(min=0), default=0, metavar="N",
              help="Plant pieces of other fields into N regions and score the map.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of walks and intruders.")
@click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True,
              help="Images at once.")  # fmt: skip
@click.option("--device", help="cpu, cuda, cuda:1, ...  [default: a GPU if there is one]")
@click.option("--overwrite", is_flag=True, help="Replace what explain wrote there before.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explain(
    *,
    checkpoint: Path,
    store: Path | None,
    out: Path,
    regions: tuple[int, ...],
    walks: float | None,
    order: str | None,
    length: int | None,
    rule: str,
    quantile: float,
    unweighted: bool,
    figures: int,
    intruders: int,
    seed: int,
    batch_size: int,
    device: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Map what a classifier looked at: where in each field, and on which dates.

    Writes GeoTIFFs (classes within fields, saliency, entropy), tables of regions and dates, and figures.

    \b
    sits-models explain --checkpoint runs/finetune --store field.planar
    sits-models explain --checkpoint runs/finetune --walks 0.7 --length 10 --intruders 60
    """
    from sits_models.data.stores import find_stores
    from sits_models.explain import explain as write

    done = write(
        checkpoint, store or find_stores()[0], out, regions=regions, walks=walks, order=order,
        length=length, rule=rule, quantile=quantile, weighted=not unweighted,  # type: ignore[arg-type]
        figures=figures, intruders=intruders, seed=seed, device=device, batch_size=batch_size,
        overwrite=overwrite, progress=True,
    )  # fmt: skip
    if as_json:
        click.echo(json.dumps(done.shown()))
        return
    for name, value in done.shown().items():
        if name == "intruders":
            continue
        text = f"{value:.3g}" if isinstance(value, float) else value
        click.echo(f"{name:10} {text}")
    if done.intruders is not None:
        click.echo(done.intruders.text)

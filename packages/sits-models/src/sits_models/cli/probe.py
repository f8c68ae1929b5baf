"""`sits-models probe`."""

import sys
from collections.abc import Callable
from pathlib import Path

import click

from sits_models.cli.options import OutPath, run_options
from sits_models.runs import check_free

SPLITS = ("blocks", "west-east", "north-south")
UNITS = ("region", "pixel")


def design_options[F: Callable[..., object]](command: F) -> F:
    """Add the options that say how a store is cut into training and test samples."""
    for option in reversed(
        [
            click.option("--unit", type=click.Choice(UNITS), help="What one sample is.  "
                         "[default: pixel where each has its own label]"),
            click.option("--split", type=click.Choice(SPLITS), help="Cross-validation by squares of the "
                         "ground, or halves: train in the first, test in the other.  "
                         "[default: blocks, where there are enough regions]"),
            click.option("--folds", type=int, help="Of blocks.  [default: 5]"),
            click.option("--block-m", type=int, help="Side of a block in metres.  [default: the "
                         "store's, smaller for small sites]"),
            click.option("--gap-m", type=float, help="Training regions nearer to a test region are left "
                         "out.  [default: 50, for halves 0]"),
            click.option("--fraction", type=float, help="Share of the training labels of each class to "
                         "use, 0 to 1.  [default: all]"),
            click.option("--shots", type=int, help="Training labels of each class to use.  "
                         "[default: all]"),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


@click.command()
@click.option("--checkpoint", type=OutPath, required=True, help="Run folder of pretrain, or a file.")
@click.option("--store", type=OutPath, help="Labelled.  [default: the only *.planar here]")
@design_options
@click.option("--seed", type=int, default=0, show_default=True, help="Of folds, few labels, twin.")
@click.option("--device", help="cpu, cuda, cuda:1, ...  [default: a GPU if there is one]")
@click.option("--out", type=OutPath, default=Path("runs/probe"), show_default=True,
              help="The run folder.")  # fmt: skip
@run_options
def probe(
    *,
    checkpoint: Path,
    store: Path | None,
    unit: str | None,
    split: str | None,
    folds: int | None,
    block_m: int | None,
    gap_m: float | None,
    fraction: float | None,
    shots: int | None,
    seed: int,
    device: str | None,
    out: Path,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Judge a frozen backbone on labels: kNN and a linear layer, beside the floors.

    \b
    sits-models probe --checkpoint runs/simclr --store field.planar
    sits-models probe --checkpoint runs/simclr --shots 5 --out runs/probe-5
    """
    check_free(out, overwrite=overwrite, resume=False)  # before torch is imported
    from sits_models.bench.design import Design
    from sits_models.bench.scores import table
    from sits_models.probe import probe as judge

    given = {
        "unit": unit,
        "split": split,
        "folds": folds,
        "block_m": block_m,
        "gap_m": gap_m,
        "fraction": fraction,
        "shots": shots,
        "seed": seed,
    }
    scores = judge(
        checkpoint, store, out, design=Design.given(given), device=device, overwrite=overwrite,
        command=["sits-models", *sys.argv[1:]], progress=True,
    )  # fmt: skip
    click.echo(scores.model_dump_json() if as_json else f"{table(scores)}\n\nin {out}")

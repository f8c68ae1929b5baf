"""`sits-models finetune`."""

import sys
from pathlib import Path
from typing import Literal

import click

from sits_models.cli.options import ANYTHING, OutPath, run_options, settings, trainer_options
from sits_models.cli.probe import design_options
from sits_models.recipes import RECIPES
from sits_models.runs import check_free


@click.command(context_settings=ANYTHING)
@click.option("--checkpoint", type=OutPath, help="Run folder of pretrain, or a file.")
@click.option("--from-scratch", is_flag=True, help="Start from random weights instead.")
@click.option("--backbone", help="Of --from-scratch.  [default: planar_vit_nano]")
@click.option("--store", type=OutPath, help="Labelled.  [default: the only *.planar here]")
@design_options
@click.option(
    "--recipe",
    type=click.Choice(list(RECIPES)),
    help="Settings that belong together: " + "; ".join(f"{n}: {s}" for n, s in RECIPES.items()) + ".",
)
@click.option("--freeze", is_flag=True, help="Train the linear layer only.")
@click.option("--dense", is_flag=True, help="Loss of each pixel, also where only regions have labels.")
@trainer_options(ends="100 epochs or 600 steps")
@click.option("--out", type=OutPath, default=Path("runs/finetune"), show_default=True,
              help="The run folder.")  # fmt: skip
@run_options
@click.pass_context
def finetune(
    ctx: click.Context,
    *,
    checkpoint: Path | None,
    from_scratch: bool,
    backbone: str | None,
    store: Path | None,
    unit: Literal["region", "pixel"] | None,
    split: str | None,
    folds: int | None,
    block_m: int | None,
    gap_m: float | None,
    fraction: float | None,
    shots: int | None,
    recipe: str | None,
    freeze: bool,
    dense: bool,
    configs: tuple[Path, ...],
    accelerator: str | None,
    devices: str | None,
    max_epochs: int | None,
    max_steps: int | None,
    seed: int | None,
    out: Path,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Train on labels, judged by folds beside the floors; then on all of them, for predict.

    Every other setting is a flag too; --print_config shows them all, as YAML for --config.

    \b
    sits-models finetune --checkpoint runs/simclr --store field.planar
    sits-models finetune --from-scratch --store chips.planar --folds 2 --max-steps 300
    sits-models finetune --from-scratch --store field.planar --recipe cviu2021
    """
    words = settings(
        ctx.args,
        configs=configs,
        flags={
            # With --from-scratch, the one of a --config is not meant.
            "model.checkpoint": checkpoint or ("null" if from_scratch else None),
            "model.backbone": backbone,
            "model.freeze": freeze or None,
            "model.dense": dense or None,
            "data.root": store,
            "data.unit": unit,
            "data.split": split,
            "data.folds": folds,
            "data.block_m": block_m,
            "data.gap_m": gap_m,
            "data.fraction": fraction,
            "data.shots": shots,
            "trainer.accelerator": accelerator,
            "trainer.devices": devices,
            # What was asked for is not cut short by the default of the other.
            "trainer.max_steps": -1 if max_steps is None and max_epochs else max_steps,
            "trainer.max_epochs": -1 if max_epochs is None and max_steps else max_epochs,
            "seed": seed,
        },
    )
    if "--print_config" not in words:
        _check_start(checkpoint, ctx.args, configs, from_scratch=from_scratch)
        check_free(out, overwrite=overwrite, resume=False)  # before torch is imported
    from sits_models.bench.scores import table
    from sits_models.finetune import finetune as train

    scores = train(
        words, out, recipe=recipe, overwrite=overwrite,
        command=["sits-models", *sys.argv[1:]], progress=True,
    )  # fmt: skip
    click.echo(scores.model_dump_json() if as_json else f"{table(scores)}\n\nin {out}")


def _check_start(
    checkpoint: Path | None, others: list[str], configs: tuple[Path, ...], *, from_scratch: bool
) -> None:
    """Random weights are a choice, never an oversight; a file of settings may have made it."""
    flags = ("--model.checkpoint", "--model.init_args.checkpoint")
    given = checkpoint is not None or any(word.startswith(flags) for word in others)
    if (given and from_scratch) or not (given or from_scratch or configs):
        raise click.UsageError(
            "say what training starts from: either --checkpoint RUN or --from-scratch"
            + (", not both" if from_scratch else "")
        )

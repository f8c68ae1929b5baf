"""`sits-models pretrain`."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from sits_models.cli.options import ANYTHING, OutPath, run_options, settings, trainer_options
from sits_models.registry import card
from sits_models.runs import check_free, leads


@click.command(context_settings=ANYTHING)
@click.option("--store", "stores", multiple=True, type=OutPath, help="May be given again.  "
              "[default: the only *.planar here]")  # fmt: skip
@click.option("--method", help="See sits-models list methods.  [default: simclr]")
@click.option("--backbone", help="See sits-models list backbones.  [default: planar_vit_nano]")
@trainer_options(ends="50 epochs")
@click.option("--out", type=OutPath, help="The run folder.  [default: runs/METHOD]")
@click.option("--resume", is_flag=True, help="Go on with the unfinished run in --out.")
@run_options
@click.pass_context
def pretrain(
    ctx: click.Context,
    *,
    stores: tuple[Path, ...],
    method: str | None,
    backbone: str | None,
    configs: tuple[Path, ...],
    accelerator: str | None,
    devices: str | None,
    max_epochs: int | None,
    max_steps: int | None,
    seed: int | None,
    out: Path | None,
    resume: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Train a backbone on the regions of planar stores, without labels.

    Every other setting is a flag too; --print_config shows them all, as YAML for --config.

    \b
    sits-models pretrain --store field.planar --method dino --max-epochs 20
    sits-models pretrain --model.temperature 0.1 --data.batch_size 128
    """
    target = card("methods", method).target if method else None
    out = out or Path("runs", method or "simclr")
    words = settings(
        ctx.args,
        configs=configs,
        model=target,
        flags={
            "model.backbone": backbone,
            "data.root": json.dumps([str(store) for store in stores]) if stores else None,
            "trainer.accelerator": accelerator,
            "trainer.devices": devices,
            "trainer.max_epochs": max_epochs,
            "trainer.max_steps": max_steps,
            "seed": seed,
        },
    )
    if "--print_config" not in words:
        check_free(out, overwrite=overwrite, resume=resume)  # before torch is imported
    from sits_models.fit.pretraining import pretrain as train

    done = train(
        words,
        out,
        overwrite=overwrite,
        resume=resume,
        command=["sits-models", *sys.argv[1:]],
        progress=True,
    )
    if not leads():
        return
    shown = {**asdict(done), "out": str(done.out)}
    if as_json:
        click.echo(json.dumps(shown))
        return
    for name, value in shown.items():
        if value is not None:
            text = f"{value:.4g}" if isinstance(value, float) else value
            click.echo(f"{name.replace('_', ' '):<13}  {text}")

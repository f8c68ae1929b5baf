"""Options that several commands share."""

from collections.abc import Callable, Sequence
from pathlib import Path

import click

OutPath = click.Path(path_type=Path, readable=False)
"""A path as it is: what is wrong with it, the library says in one line."""

ANYTHING = {"ignore_unknown_options": True, "allow_extra_args": True}
"""Context settings of a command whose other flags are settings of model, data and trainer."""


def trainer_options[F: Callable[..., object]](*, ends: str) -> Callable[[F], F]:
    """Add short forms of settings of trainer and model; `settings` turns them into the long ones.

    Args:
        ends: when training ends unless told otherwise, for the help.
    """
    options = [
        click.option("--config", "configs", multiple=True, type=OutPath, help="YAML of settings."),
        click.option("--accelerator", help="auto, cpu, gpu, ...  [default: auto]"),
        click.option("--devices", help="How many, or which.  [default: auto]"),
        click.option("--max-epochs", type=int, help=f"Stop after that many.  [default: {ends}]"),
        click.option("--max-steps", type=int, help="Stop after that many."),
        click.option("--seed", type=int, help="Of weights, order and views.  [default: 0]"),
    ]

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def run_options[F: Callable[..., object]](command: F) -> F:
    """Add `--overwrite` and `--json`."""
    for option in reversed(
        [
            click.option("--overwrite", is_flag=True, help="Replace a run that is there."),
            click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        ]
    ):
        command = option(command)
    return command


def settings(
    others: Sequence[str],
    *,
    configs: Sequence[Path],
    model: str | None = None,
    flags: dict[str, object],
) -> list[str]:
    """Words for `sits_models.fit.parse`: files first, then short forms, then the long flags.

    Args:
        others: words that click did not know.
        configs: files.
        model: class of the model, `module:attribute`.
        flags: value of each short form by its long one; None was not given.
    """
    words = [f"--config={file}" for file in configs]
    if model:
        words.append(f"--model={model.replace(':', '.')}")
    words += [f"--{name}={value}" for name, value in flags.items() if value is not None]
    return [*words, *others]

"""The `sits-models` command: one module of this folder a subcommand, imported when it is called."""

import logging

import click

from sits_data.commandline import Commands

COMMANDS = (
    "sample",
    "list",
    "pretrain",
    "peer",
    "probe",
    "finetune",
    "bench",
    "change",
    "predict",
    "explain",
    "report",
)


@click.group(
    cls=Commands,
    package=__name__,
    commands=COMMANDS,
    again="pretrain goes on with --resume, other runs begin again with --overwrite",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="sits-models", prog_name="sits-models")
def main() -> None:
    """Learn from the planar stores that sits-data writes, and draw maps.

    \b
    sits-models pretrain --store field.planar --out runs/simclr
    sits-models probe --checkpoint runs/simclr --store field.planar
    """
    _show_messages()


def _show_messages() -> None:
    """What the package has to tell goes to stderr, each message in one line, once."""
    from sits_models.runs import leads

    log = logging.getLogger("sits_models")
    log.setLevel(logging.INFO if leads() else logging.ERROR)
    log.propagate = False
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("sits-models: %(message)s"))
        log.addHandler(handler)

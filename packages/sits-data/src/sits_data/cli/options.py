"""Options and printing that several commands share."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import click

from sits_data.errors import InvalidRequest
from sits_data.mask import MaskPreset, parse_mask

OutPath = click.Path(path_type=Path, readable=False)
"""A path as it is: what is wrong with it, the library says in one line."""

DAY = click.DateTime(["%Y-%m-%d"])


class Number(click.FloatRange):
    """A number in a range; NaN is none, though every comparison lets it pass."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


class MaskType(click.ParamType[str]):
    """The name of a mask: a preset, and what it counts more or less."""

    name = "mask"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        """What the help page shows."""
        return f"{'|'.join(get_args(MaskPreset))}[±cirrus][±snow]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, if there is such a mask."""
        try:
            parse_mask(value)
        except InvalidRequest as error:
            self.fail(str(error), param, ctx)
        return value


MASK = MaskType()


def json_option[F: Callable[..., object]](command: F) -> F:
    """Add `--json`: print one JSON object instead of text."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def print_summary(summary: Mapping[str, object], *, as_json: bool) -> None:
    """Print a summary on stdout: JSON for machines, aligned `name  value` lines for people."""
    if as_json:
        click.echo(json.dumps(summary, default=str))
        return
    width = max(len(name) for name in summary)
    for name, value in summary.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        click.echo(f"{name.replace('_', ' '):<{width}}  {shown}")

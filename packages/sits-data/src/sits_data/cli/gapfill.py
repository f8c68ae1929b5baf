"""`sits-data gapfill`."""

from pathlib import Path
from typing import get_args

import click
from click.core import ParameterSource

from sits_data.cli.deriving import default_out, derive_options, print_derived
from sits_data.cli.options import OutPath
from sits_data.derive import Run, gapfill_cube
from sits_data.gapfill import Edges, Filling, Method

_DEFAULT = Filling()
_METHODS_OF: dict[str, tuple[Method, ...]] = {
    "keep_observed": ("savgol", "whittaker"),
    "window_days": ("savgol",),
    "order": ("savgol",),
    "smoothing": ("whittaker",),
}


@click.command()
@derive_options
@click.option(
    "--method",
    type=click.Choice(get_args(Method)),
    default=_DEFAULT.method,
    show_default=True,
    help="linear never changes a clear value; savgol (Savitzky-Golay) and whittaker smooth them too.",
)
@click.option("--keep-observed", is_flag=True, help="Leave clear values as they are when smoothing.")
@click.option(
    "--edges",
    type=click.Choice(get_args(Edges)),
    default=_DEFAULT.edges,
    show_default=True,
    help="Before the first and after the last clear date: hold the nearest value, or leave empty.",
)
@click.option(
    "--max-gap",
    "max_gap_days",
    type=int,
    metavar="DAYS",
    help="Fill only between clear dates at most so far apart.  [default: every gap]",
)
@click.option(
    "--window",
    "window_days",
    type=int,
    default=_DEFAULT.window_days,
    show_default=True,
    metavar="DAYS",
    help="savgol: width of the window.",
)
@click.option(
    "--order", type=int, default=_DEFAULT.order, show_default=True, help="savgol: of the polynomial."
)
@click.option(
    "--smoothing",
    type=float,
    default=_DEFAULT.smoothing,
    show_default=True,
    metavar="DAYS³",
    help="whittaker: larger is smoother.",
)
@click.option("--out", type=OutPath, help="The new cube.  [default: the cube's stem + -filled.zarr]")
def gapfill(
    *,
    cube: Path,
    method: Method,
    keep_observed: bool,
    edges: Edges,
    max_gap_days: int | None,
    window_days: int,
    order: int,
    smoothing: float,
    mask: str,
    out: Path | None,
    overwrite: bool,
    threads: int | None,
    as_json: bool,
) -> None:
    """Write a new cube in which unclear dates have values from the clear ones around them.

    The array `filled` says which values were not observed. An interrupted run continues when the same
    command is started again.

    \b
    sits-data gapfill field.zarr --max-gap 60
    sits-data gapfill field.zarr --method whittaker --smoothing 5000 --keep-observed
    """
    _refuse_others_options(method)
    settings = Filling(
        method,
        edges=edges,
        max_gap_days=max_gap_days,
        keep_observed=keep_observed,
        window_days=window_days,
        order=order,
        smoothing=smoothing,
    )
    done = gapfill_cube(
        cube,
        out or default_out(cube, "filled"),
        settings=settings,
        mask=mask,
        run=Run(threads, overwrite=overwrite, progress=True),
    )
    print_derived(done, as_json=as_json)


def _refuse_others_options(method: Method) -> None:
    """Stop if an option was given that the method has no use for."""
    context = click.get_current_context()
    for name, methods in _METHODS_OF.items():
        given = context.get_parameter_source(name) is not ParameterSource.DEFAULT
        if given and method not in methods:
            option = next(p.opts[0] for p in context.command.params if p.name == name)
            raise click.UsageError(f"{option} is for --method {' or '.join(methods)}, not {method}.")

"""The options that `build-cube` and `update` share, and what they print of a cube."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, get_args

import click

from sits_data.build import BuildOptions, BuildResult
from sits_data.cli.options import MASK, Number
from sits_data.cube import open_raw
from sits_data.loaders import Loader
from sits_data.persist import OnError

SKIPPED = 3
"""Exit code of a cube that is complete but for units that could not be read."""


def building_options[F: Callable[..., object]](command: F) -> F:
    """Add the options that say how to build; the command gets them as `options` and `mask`."""

    @wraps(command)
    def collected(
        *,
        mask: str,
        threads: int | None,
        scheduler: str | None,
        loader: Loader,
        on_error: OnError,
        deadline: float,
        skip_below: float,
        **others: Any,
    ) -> object:
        how = BuildOptions(
            threads=threads, scheduler=scheduler, loader=loader, on_error=on_error,
            deadline_s=deadline, skip_below=skip_below, mask=mask,
        )  # fmt: skip
        return command(mask=mask, options=how, **others)

    for option in reversed(_OPTIONS):
        collected = option(collected)
    return collected  # type: ignore[return-value]


_OPTIONS = (
    click.option(
        "--mask",
        type=MASK,
        default="standard",
        show_default=True,
        help="What counts as clear, for --skip-below and the summary; values are never overwritten.",
    ),
    click.option(
        "--skip-below",
        type=Number(0, 1),
        default=0.0,
        show_default=True,
        metavar="FRACTION",
        help="Do not read the bands of units (a day of a block) with a smaller clear fraction; they "
        "are marked, and a lower fraction or a looser mask reads them later.",
    ),
    click.option(
        "--on-error",
        type=click.Choice(get_args(OnError)),
        default="retry",
        show_default=True,
        help="What cannot be read: go on, try it again at the end, then stop (exit code 4, start the "
        "same command again); mark it in qa and finish (exit code 3); or stop at once.",
    ),
    click.option(
        "--deadline",
        type=Number(0.1, 86400),
        default=600.0,
        show_default=True,
        metavar="SECONDS",
        help="For one day of at most 4 x 4 blocks, all attempts together.",
    ),
    click.option(
        "--loader",
        type=click.Choice(get_args(Loader)),
        default="odc",
        show_default=True,
        help="What warps rasters of another zone: odc-stac's loader; stackstac's reads all.",
    ),
    click.option(
        "--scheduler",
        metavar="tcp://HOST:PORT",
        help="Work on a Dask cluster that sees the same disk.",
    ),
    click.option(
        "--threads",
        type=click.IntRange(1, 256),
        help="Reading threads.  [default: the cores; 16 over a network]",
    ),
)


def describe_cube(result: BuildResult, mask: str) -> dict[str, object]:
    """What was built."""
    cube, request = open_raw(result.path), result.plan.request
    days = [str(day.day) for day in result.plan.days]
    return {
        "cube": str(result.path),
        "scenes": len(result.plan.scenes),
        "scenes_dropped": len(result.plan.dropped),
        "dates": len(days),
        "first_date": days[0],
        "last_date": days[-1],
        "bands": request.bands,
        "shape": list(cube.array("reflectance").shape),
        "crs": request.grid.crs,
        "resolution_m": request.grid.resolution_m,
        "mask": mask,
        "clear_pct": round(100 * float(cube.clear_fraction(mask).mean()), 1),
        "units": result.units + len(result.failed),
        "units_resumed": result.resumed,
        "units_unread": result.unread,
        "units_failed": len(result.failed),
        "bytes": result.bytes_on_disk,
        "seconds": round(result.seconds, 1),
    }


def exit_if_skipped(failed: int) -> None:
    """End with the exit code 3 if some units could not be read, and say where to look."""
    if failed:
        click.echo(
            f"sits-data: {failed} unit{'s'[: failed > 1]} could not be read, marked in qa; sits-data "
            "status lists them, and the same command tries them again",
            err=True,
        )
        sys.exit(SKIPPED)

"""What the commands that derive a cube from another share."""

from collections.abc import Callable
from pathlib import Path

import click

from sits_data.cli.options import MASK, OutPath, json_option, print_summary
from sits_data.derive import Summary


def derive_options[F: Callable[..., object]](command: F) -> F:
    """Add the cube, the mask, threads and `--json`."""
    for option in (
        json_option,
        click.option("--threads", type=click.IntRange(1, 256), help="Threads.  [default: the cores]"),
        click.option(
            "--mask", type=MASK, default="standard", show_default=True, help="Which dates are clear."
        ),
        click.option("--overwrite", is_flag=True, help="Replace a derived cube that is there."),
        click.argument("cube", type=OutPath),
    ):
        command = option(command)
    return command


def default_out(cube: Path, suffix: str) -> Path:
    """Where a derived cube goes when nobody says: here, named after its source."""
    return Path(f"{cube.resolve().stem}-{suffix}.zarr")


def print_derived(done: Summary, *, as_json: bool) -> None:
    """Print what was made."""
    count, first, last = done.dates
    summary: dict[str, object] = {
        "cube": str(done.path),
        "arrays": done.arrays,
        "dates": count,
        "first_date": first,
        "last_date": last,
        "empty_pct": _percent(done.empty, done.pixels),
    }
    if done.filled is not None:
        summary["filled_pct"] = _percent(done.filled, done.pixels)
    summary |= {
        "blocks": done.units,
        "blocks_resumed": done.resumed,
        "bytes": done.bytes,
        "seconds": done.seconds,
    }
    print_summary(summary, as_json=as_json)


def _percent(part: int, whole: int) -> float:
    return round(100 * part / max(whole, 1), 2)

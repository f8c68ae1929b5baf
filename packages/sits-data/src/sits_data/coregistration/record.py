"""The shifts of a cube's dates as a value, and on disk as a small Zarr group beside the cube."""

import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.errors import ZarrUserWarning

from sits_data.ledger import state_folder
from sits_data.mask import MaskName
from sits_data.output import replace_folder, writing_to

AXES = ("east", "north")

_DISTANCES = {
    "shift_m": "how far the content of a date lies off the reference",
    "spread_m": "spread of its windows",
}
_COUNTS = {
    "windows": "windows that the shift is the median of",
    "clear": "windows that were clear enough",
    "weak": "windows with a low or far peak",
    "flat": "windows without texture",
}


@dataclass(frozen=True)
class Shifts:
    """By how much each date of a cube lies off the reference.

    Args:
        cube: its name; `plan` names its pixels.
        dates: (T,) days since 1970-01-01.
        shift_m: (T, 2) metres by which the date's content lies east and north of the reference; NaN
            where it could not be measured.
        spread_m: (T, 2) 1.4826 times the median absolute deviation of its windows.
        windows: (T,) that the shift is the median of.
        clear: (T,) windows that were clear enough to be matched.
        weak, flat: (T,) of these, left out for a low or far peak, or for want of any texture.
        reference: what zero means: a date, or the median position of the measured dates.
        seed: the date that the others were matched with first.
        window_px: side of a window.
        resolution_m: pixel size.
        mask: what counted as clear.
    """

    cube: str
    plan: str
    dates: NDArray[np.int32]
    shift_m: NDArray[np.float64]
    spread_m: NDArray[np.float64]
    windows: NDArray[np.int32]
    clear: NDArray[np.int32]
    weak: NDArray[np.int32]
    flat: NDArray[np.int32]
    reference: str
    seed: str
    window_px: int
    resolution_m: int
    mask: MaskName

    @property
    def measured(self) -> NDArray[np.bool_]:
        """(T,), whether there is a shift."""
        return np.asarray(np.isfinite(self.shift_m[:, 0]))

    def in_pixels(self, time: int) -> tuple[float, float]:
        """One date's shift in pixels down and right."""
        east, north = self.shift_m[time] / self.resolution_m
        return -float(north), float(east)


def shifts_folder(cube: Path) -> Path:
    """Where the shifts of a cube lie: `NAME.zarr.state/shifts.zarr`."""
    return state_folder(cube) / "shifts.zarr"


def write_shifts(shifts: Shifts, cube: Path) -> Path:
    """Write the shifts beside a cube, whole or not at all; those that are there are replaced.

    Raises:
        OutputNotWritable: no permission, or the disk is full.
    """
    out = shifts_folder(cube)
    with writing_to(out):
        out.parent.mkdir(exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
        try:
            group = zarr.create_group(
                scratch / out.name,
                zarr_format=3,
                attributes={"cube": shifts.cube, "plan": shifts.plan, **describe_shifts(shifts)},
            )
            days: dict[str, Any] = {"units": "days since 1970-01-01", "calendar": "proleptic_gregorian"}
            group.create_array(
                "time", data=shifts.dates.astype(np.int64), dimension_names=("time",), attributes=days
            )
            add_shifts(group, shifts)
            consolidate(scratch / out.name)
            replace_folder(scratch / out.name, out, scratch / "replaced")
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return out


def add_shifts(group: zarr.Group, shifts: Shifts) -> None:
    """Add the arrays of shifts to a group that has their `time` already."""
    names = np.array(AXES, np.dtypes.StringDType())
    group.create_array("axis", data=names, dimension_names=("axis",))
    for name, text in _DISTANCES.items():
        group.create_array(
            _name(name),
            data=getattr(shifts, name),
            dimension_names=("time", "axis"),
            attributes={"units": "m", "long_name": text},
        )
    for name, text in _COUNTS.items():
        group.create_array(
            _name(name),
            data=getattr(shifts, name),
            dimension_names=("time",),
            attributes={"long_name": text},
        )


def describe_shifts(shifts: Shifts) -> dict[str, Any]:
    """How they were measured, as attributes."""
    names = ("reference", "seed", "window_px", "resolution_m", "mask")
    return {name: getattr(shifts, name) for name in names}


def _name(field: str) -> str:
    """Of the array on disk: all of them begin alike."""
    return field if field.startswith("shift") else f"shift_{field}"


_WARNINGS = Lock()


def consolidate(path: Path) -> None:
    """Put a group's metadata into one file, so that a reader over a network asks once."""
    with _WARNINGS, warnings.catch_warnings():  # which threads share
        warnings.filterwarnings("ignore", "Consolidated metadata", ZarrUserWarning)
        zarr.consolidate_metadata(path.as_posix())

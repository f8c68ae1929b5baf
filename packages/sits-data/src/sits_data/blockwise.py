"""Functions of one block of a cube, applied to whole arrays: in memory, or block by block in Dask."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import DTypeLike, NDArray

from sits_data.numbers import to_numbers

OfBlock = Callable[[NDArray[np.uint16], NDArray[np.bool_]], tuple[NDArray[Any], ...]]
"""From numbers (time, band, y, x) and clear (time, y, x) to arrays with these axes, or without band."""


@dataclass(frozen=True)
class Made:
    """One array that a function makes: its type, and whether it has an axis `band`."""

    dtype: DTypeLike
    banded: bool = False


def apply_blocks(
    function: OfBlock,
    reflectance: xr.DataArray,
    clear: xr.DataArray,
    *,
    made: Sequence[Made],
    times: int,
) -> tuple[xr.DataArray, ...]:
    """Apply a function to blocks that hold all dates.

    Args:
        function: of copies that it may change.
        reflectance: (time, band, y, x), float with NaN or a cube's numbers.
        clear: (time, y, x).
        made: what the function returns.
        times: length of the axis `time` of what is made.

    Returns:
        Arrays (time, band, y, x) or (time, y, x), without a coordinate along time.
    """

    def of_arrays(values: NDArray[Any], seen: NDArray[np.bool_]) -> tuple[NDArray[Any], ...]:
        # apply_ufunc has the axes that are not blocked last: (y, x, time, band).
        numbers = np.array(to_numbers(np.moveaxis(values, (2, 3), (0, 1))), order="C")
        done = function(numbers, np.array(np.moveaxis(seen, 2, 0), order="C"))
        return tuple(np.moveaxis(one, (-2, -1), (0, 1)) for one in done)

    results = xr.apply_ufunc(
        of_arrays,
        reflectance,
        clear,
        input_core_dims=[["time", "band"], ["time"]],
        output_core_dims=[["made", "band"] if one.banded else ["made"] for one in made],
        dask="parallelized",
        output_dtypes=[one.dtype for one in made],
        dask_gufunc_kwargs={"output_sizes": {"made": times}, "allow_rechunk": True},
    )
    order = ("time", "band", "y", "x")
    return tuple(array.rename(made="time").transpose(*order, missing_dims="ignore") for array in results)

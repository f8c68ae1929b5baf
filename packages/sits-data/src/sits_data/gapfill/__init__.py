"""Gap filling: every date of a series gets a value, from the clear dates around it."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sits_data.blockwise import Made, apply_blocks
from sits_data.gapfill.series import Fill, make_fill
from sits_data.gapfill.settings import Edges, Filling, Method
from sits_data.mask import MaskName
from sits_data.numbers import to_reflectance
from sits_data.observed import days_of, qa_of, seen_pixels

__all__ = ["Edges", "Fill", "Filling", "Method", "gapfill", "make_fill"]


def gapfill(
    dataset: xr.Dataset, settings: Filling | None = None, *, mask: MaskName = "standard"
) -> xr.Dataset:
    """Fill the unclear dates of every pixel: at once for data in memory, later for Dask arrays.

    Args:
        dataset: `reflectance (time, band, y, x)`, float with NaN or a cube's numbers, `qa (time, y,
            x)` and for `strict` `scl`, as `open_cube` gives them.
        settings: how; by default linear, holding the first and last clear value.
        mask: which bits of `qa` make a date unclear.

    Returns:
        `reflectance (time, band, y, x)` float32, unit 1, NaN where nothing is known; `filled (time, y,
        x)` uint8, 1 where the value was not observed; `qa (time, y, x)` uint8, *no data* where
        nothing is known.

    Raises:
        MissingArray: `strict` without `scl`.
    """
    days, seen = days_of(dataset), seen_pixels(dataset, mask)
    fill = make_fill(settings or Filling(), days)

    def of_block(
        numbers: NDArray[np.uint16], clear: NDArray[np.bool_]
    ) -> tuple[NDArray[np.generic], ...]:
        dates, bands, height, width = numbers.shape
        filled = np.zeros(clear.shape, np.uint8)
        fill(
            numbers.reshape(dates, bands, -1),
            clear.reshape(dates, -1),
            filled.reshape(dates, -1),
            slice(0, height * width),
        )
        return to_reflectance(numbers), filled

    reflectance, filled = apply_blocks(
        of_block,
        dataset["reflectance"],
        seen,
        made=(Made(np.float32, banded=True), Made(np.uint8)),
        times=len(days),
    )
    known = reflectance.isel(band=0, drop=True).notnull()
    result = xr.Dataset({"reflectance": reflectance, "filled": filled, "qa": qa_of(known)})
    return result.assign_coords(time=dataset["time"])

"""What of a Dataset was observed, and when."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sits_data.errors import MissingArray
from sits_data.mask import QA, MaskName, strict_classes, unclear_bits


def days_of(dataset: xr.Dataset) -> NDArray[np.int32]:
    """Days since 1970-01-01 along `time`: (time,)."""
    return np.asarray(dataset["time"].values.astype("M8[D]").astype(np.int32))


def seen_pixels(dataset: xr.Dataset, mask: MaskName) -> xr.DataArray:
    """Where the surface was seen in every band: (time, y, x) bool.

    Args:
        dataset: `reflectance (time, band, y, x)`, float with NaN or numbers with 0, and `qa`.
        mask: which bits of `qa` make a pixel unclear; `strict` needs `scl` too.

    Raises:
        MissingArray: `strict` without `scl`.
    """
    values = dataset["reflectance"]
    known = values.notnull() if np.issubdtype(values.dtype, np.floating) else values != 0
    seen = ((dataset["qa"] & np.uint8(unclear_bits(mask))) == 0) & known.all("band")
    if classes := strict_classes(mask):
        if "scl" not in dataset:
            raise MissingArray(
                f"the mask {mask} needs the array scl, which derived cubes do not have; use standard"
            )
        seen = seen & ~dataset["scl"].isin(classes)
    return seen


def qa_of(known: xr.DataArray) -> xr.DataArray:
    """The `qa` of a derived cube: *no data* where nothing is known, else 0."""
    return (~known).astype(np.uint8) * np.uint8(QA.NO_DATA)

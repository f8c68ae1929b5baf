"""Spectral indices, by the names and formulas of spyndex (Awesome Spectral Indices)."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from sits_data.indices.formulas import Index, find_indices
from sits_data.mask import MaskName
from sits_data.numbers import to_reflectance
from sits_data.observed import seen_pixels

__all__ = ["Index", "find_indices", "indices"]


def indices(
    dataset: xr.Dataset,
    names: Sequence[str],
    *,
    mask: MaskName | None = "standard",
    constants: Mapping[str, float] | None = None,
) -> xr.Dataset:
    """Indices of every pixel and date, from reflectance: a cube's numbers are decoded first.

    Args:
        dataset: `reflectance (time, band, y, x)`, float or a cube's numbers, and `qa`, as `open_cube`
            gives them.
        names: such as `NDVI`, in any case.
        mask: which bits of `qa` make a date unclear; None keeps the values of clouds too.
        constants: other values than those of spyndex, such as `{"L": 0.5}`.

    Returns:
        One array (time, y, x) float32 an index, unit 1, NaN where unclear or where the formula has no
        value.

    Raises:
        InvalidRequest: an index or a constant does not exist, or needs what no cube has.
        MissingBand: an index needs a band that the cube lacks.
    """
    reflectance = dataset["reflectance"]
    bands = [str(band) for band in dataset["band"].values]
    seen = None if mask is None else seen_pixels(dataset, mask)
    made = {}
    for index in find_indices(names, bands, constants or {}):
        layers = [reflectance.isel(band=bands.index(band), drop=True) for band in index.bands]
        values = xr.apply_ufunc(
            lambda *numbers, index=index: index(*map(to_reflectance, numbers)),
            *layers,
            dask="parallelized",
            output_dtypes=[np.float32],
        )
        made[index.name] = (values if seen is None else values.where(seen)).assign_attrs(
            index.attributes
        )
    return xr.Dataset(made)

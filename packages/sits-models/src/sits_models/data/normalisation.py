"""Normalisation: reflectance to about -1 … 1, by percentiles of what the training regions show.

Percentiles instead of mean and deviation: a few bright roofs or missed clouds move them little.
Needs NumPy and pydantic, no torch, so that a model card is read quickly.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, model_validator

from sits_data.errors import InvalidRequest
from sits_data.store import PlanarStore
from sits_data.store.statistics import DN_VALUES, count_values
from sits_models.data.stores import name_stores

Positions = NDArray[np.int64]

_MIN_SPREAD = 0.01


class Normalisation(BaseModel, frozen=True):
    """The affine map that takes `low` to -1 and `high` to 1, band by band.

    Values beyond the two are not clipped: bright snow stays brighter than bright soil.

    Args:
        bands: ids, in the order of the band axis.
        low, high: reflectance (unit 1) at the two percentiles, one a band.
        percentiles: that `low` and `high` are, 0 … 100.

    Example::

        Normalisation(bands=("B04",), low=(0.0,), high=(0.3,))  # 0.15 becomes 0
    """

    bands: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    percentiles: tuple[float, float] = (2, 98)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not len(self.bands) == len(self.low) == len(self.high):
            raise ValueError(
                f"bands, low and high must be of one length, got {len(self.bands)}, {len(self.low)} "
                f"and {len(self.high)}"
            )
        for band, low, high in zip(self.bands, self.low, self.high, strict=True):
            if not low < high:
                raise ValueError(f"high must be above low, {band} has {high} and {low}")
        return self

    def affine(self, scale: float, offset: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Gain and bias of digital numbers: normalised = DN * gain + bias.

        Args:
            scale: of the store, reflectance = DN * scale + offset.
            offset: see `scale`.

        Returns:
            Two arrays (C,) float32.
        """
        low, high = np.array(self.low), np.array(self.high)
        gain = 2 * scale / (high - low)
        bias = 2 * (offset - low) / (high - low) - 1
        return gain.astype(np.float32), bias.astype(np.float32)


def fit_normalisation(
    stores: Sequence[PlanarStore],
    regions: Sequence[Positions],
    *,
    percentiles: tuple[float, float] = (2, 98),
) -> Normalisation:
    """Percentiles of all clear, observed values of some regions: exact, in bounded memory.

    Digital numbers have 65 536 values, so counting them is enough. A percentile is the least value
    that at least that share lies at or below (NumPy's `inverted_cdf`). A band that hardly varies
    gets a spread of 0.01, so that its noise is not blown up.

    Args:
        stores: with the same bands in the same order.
        regions: of each store, positions 0 … R-1; those that train, never those of a test.
        percentiles: two, 0 … 100, ascending.

    Raises:
        InvalidRequest: the stores differ in bands, or the regions have no clear observation.
    """
    bands = stores[0].manifest.bands
    for store in stores:
        if store.manifest.bands != bands:
            raise InvalidRequest(
                f"stores must share their bands, {store.path} has {', '.join(store.manifest.bands)} "
                f"and {stores[0].path} {', '.join(bands)}; planarize them from cubes of the same bands"
            )
    # Stores of one convention are counted together: a merged one has hundreds of parts.
    conventions = list(dict.fromkeys((one.manifest.scale, one.manifest.offset) for one in stores))
    counts = np.zeros((len(conventions), len(bands), DN_VALUES), np.int64)
    for store, chosen in zip(stores, regions, strict=True):
        convention = conventions.index((store.manifest.scale, store.manifest.offset))
        counts[convention] += count_values(store, chosen)
    if not counts.any():
        raise InvalidRequest(
            f"no clear observation in {sum(map(len, regions))} training regions of "
            f"{name_stores(stores)}; planarize with another --mask, or "
            "give more dates or regions"
        )
    scales, offsets = np.array(conventions).T[..., None]
    values = (np.arange(DN_VALUES) * scales + offsets).ravel()
    ascending = np.argsort(values, kind="stable")
    values = values[ascending]
    low, high = [], []
    for band in range(len(bands)):
        total = np.cumsum(counts[:, band].ravel()[ascending])
        wanted = np.maximum(np.ceil(np.array(percentiles) / 100 * total[-1]), 1)
        first, last = values[np.searchsorted(total, wanted)]
        middle, half = (first + last) / 2, max(last - first, _MIN_SPREAD) / 2
        low.append(round(float(middle - half), 6))
        high.append(round(float(middle + half), 6))
    return Normalisation(bands=bands, low=tuple(low), high=tuple(high), percentiles=percentiles)

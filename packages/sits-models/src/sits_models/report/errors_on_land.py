"""Where a model is wrong: every tested sample at its place on the ground."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sits_data.store import PlanarStore
from sits_models.report.maps import Picture
from sits_models.report.pictures import data_url, gradient, paint_errors


def wrong_on_land(
    store: PlanarStore,
    share: NDArray[np.floating],
    title: str,
    *,
    unit: Literal["region", "pixel"] | None,
) -> Picture:
    """Samples coloured by how often they were named wrong, cut to where there are any.

    Args:
        store: whose labelled samples, numbered as `bench` does.
        share: (N,) of the seeds in which each was named wrong, NaN where it was not tested.
        title: of the row.
        unit: what one sample is; None is a pixel where a raster labels each, else a region.
    """
    label = store.manifest.label
    per_pixel = label is not None and label.per_pixel
    of_pixels = (unit or ("pixel" if per_pixel else "region")) == "pixel"
    image = np.full(store.manifest.grid.shape, np.nan, np.float32)
    first = 0
    for position in np.flatnonzero(store.labels >= 0):
        region = store.region(int(position))
        yx = region.yx
        if of_pixels and region.labels is not None:
            yx = yx[region.labels >= 0]
        count = len(yx) if of_pixels else 1
        image[yx[:, 0], yx[:, 1]] = share[first : first + count]
        first += count
    rows, columns = (np.flatnonzero(np.isfinite(image).any(axis)) for axis in (1, 0))
    shown = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return Picture(
        title,
        f"Map of how often {title} named each sample wrong",
        data_url(paint_errors(shown)),
        gradient(errors=True),
    )

"""Composites: one image a period, out of what was clear in it."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sits_data.blockwise import Made, apply_blocks
from sits_data.composite.images import NO_SOURCE, Composited, compose, rank_dates
from sits_data.composite.settings import Compositing, Method
from sits_data.mask import MaskName
from sits_data.numbers import to_reflectance
from sits_data.observed import days_of, qa_of, seen_pixels
from sits_data.periods import members, parse_period

__all__ = ["NO_SOURCE", "Composited", "Compositing", "Method", "compose", "composite", "rank_dates"]


def composite(
    dataset: xr.Dataset, settings: Compositing | None = None, *, mask: MaskName = "standard"
) -> xr.Dataset:
    """One image a period: at once for data in memory, block by block and later for Dask arrays.

    Args:
        dataset: `reflectance (time, band, y, x)`, float with NaN or a cube's numbers, `qa (time, y,
            x)` and for `strict` `scl`, as `open_cube` gives them.
        settings: period and method; by default monthly medians.
        mask: which bits of `qa` make a date unclear.

    Returns:
        `reflectance (time, band, y, x)` float32, unit 1, NaN where nothing was clear (not for
        `count`); `count (time, y, x)` uint16 clear dates; `qa (time, y, x)` uint8, *no data* where the
        count is 0; where dates are picked, `source (time, y, x)` int16, the index along
        `observation`, -1 = none. `time` is the first day of each period, `time_bnds` its first day
        and that of the next.

    Raises:
        MissingBand: the method needs a band that is not there.
        MissingArray: `strict` without `scl`.
    """
    settings = settings or Compositing()
    bands = [str(band) for band in dataset["band"].values]
    settings.check_bands(bands)
    days, seen = days_of(dataset), seen_pixels(dataset, mask)
    edges = parse_period(settings.period).edges(days[0], days[-1])
    groups = members(edges, days)
    ranked = settings.method == "least-cloudy"
    rank = rank_dates(seen.mean(("y", "x")).values if ranked else np.ones(len(days)))

    def of_block(
        numbers: NDArray[np.uint16], clear: NDArray[np.bool_]
    ) -> tuple[NDArray[np.generic], ...]:
        done = [
            compose(numbers[g], clear[g], settings.method, bands=bands, rank=rank[g]) for g in groups
        ]
        sources = [
            np.append(g, NO_SOURCE)[one.source].astype(np.int16)
            for g, one in zip(groups, done, strict=True)
        ]
        images = np.stack([to_reflectance(one.numbers) for one in done])
        return images, np.stack([one.count for one in done]), np.stack(sources)

    reflectance, count, source = apply_blocks(
        of_block,
        dataset["reflectance"],
        seen,
        made=(Made(np.float32, banded=True), Made(np.uint16), Made(np.int16)),
        times=len(groups),
    )
    arrays = {"count": count, "qa": qa_of(count > 0)}
    if settings.method != "count":
        arrays = {"reflectance": reflectance} | arrays
    if settings.picks:
        arrays["source"] = source
    starts = edges.astype("M8[D]").astype("M8[ns]")
    coords = {
        "time": starts[:-1],
        "time_bnds": (("time", "bnds"), np.stack([starts[:-1], starts[1:]], 1)),
    }
    if settings.picks:
        coords["observation"] = dataset["time"].values
    return xr.Dataset(arrays).assign_coords(coords)

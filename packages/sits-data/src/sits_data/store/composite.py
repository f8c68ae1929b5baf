"""What a cube looked like, in a few images without clouds: for those who compare neighbouring pixels."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sits_data.cube import RawCube
from sits_data.mask import MaskName, clear_pixels, strict_classes
from sits_data.regions import Composite

PERIODS = 4


def composites(raw: RawCube, mask: MaskName) -> Iterator[Composite]:
    """Medians of the clear dates of each of four equal periods, one block of the cube at a time.

    Where a period has no clear date, the pixel's mean over the other periods stands in.

    Args:
        raw: the cube.
        mask: says what is clear.

    Yields:
        Parts with F = 4 · bands features in DN; unknown is what was never clear.
    """
    height, width = raw.geobox.shape
    side = raw.chunk_px
    for y in range(0, height, side):
        for x in range(0, width, side):
            window = slice(y, min(y + side, height)), slice(x, min(x + side, width))
            yield _composite(raw, window, mask)


def _composite(raw: RawCube, window: tuple[slice, slice], mask: MaskName) -> Composite:
    parts = [part for part in np.array_split(np.arange(len(raw.dates)), PERIODS) if len(part)]
    medians = np.stack([_median(raw, slice(part[0], part[-1] + 1), window, mask) for part in parts])
    known = np.asarray(np.isfinite(medians).any(axis=(0, 1)))
    mean = np.nansum(medians, axis=0) / np.maximum(np.isfinite(medians).sum(axis=0), 1)
    filled = np.where(np.isfinite(medians), medians, mean)
    image = filled.reshape(-1, *known.shape).transpose(1, 2, 0).astype(np.float32)
    return Composite(window[0].start, window[1].start, image, known)


def _median(
    raw: RawCube, dates: slice, window: tuple[slice, slice], mask: MaskName
) -> NDArray[np.float32]:
    """(bands, H, W) DN; NaN where no date is clear."""
    dn = raw.read("reflectance", (dates, slice(None), *window))
    qa = raw.read("qa", (dates, *window))
    scl = raw.read("scl", (dates, *window)) if strict_classes(mask) else None
    clear = clear_pixels(qa, scl, mask) & (dn != 0).all(axis=1)
    values = np.where(clear[:, None], dn, np.nan).astype(np.float32)
    ascending = np.sort(values, axis=0)  # NaN come last
    middle = np.maximum(clear.sum(axis=0) - 1, 0) // 2
    return np.asarray(np.take_along_axis(ascending, middle[None, None], axis=0)[0])

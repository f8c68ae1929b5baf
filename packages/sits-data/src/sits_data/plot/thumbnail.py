"""One date of a cube, as coarse as it is shown."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sits_data.cube import RawCube
from sits_data.mask import MaskName, clear_pixels, strict_classes
from sits_data.plot.colour import Composite, Pixels


@dataclass(frozen=True)
class Thumbnail:
    """One date of a cube.

    Args:
        pixels: (y, x, channel) DN, 0 = not observed.
        clear: (y, x), True = usable.
    """

    pixels: Pixels
    clear: NDArray[np.bool_]


def read_thumbnail(
    cube: RawCube, time: int, composite: Composite, mask: MaskName, *, factor: int
) -> Thumbnail:
    """One date of a cube, every `factor` pixels averaged into one; strip by strip, for memory."""
    height, width = (side // factor * factor for side in cube.geobox.shape)
    step = max(factor, cube.chunk_px // factor * factor)
    strips = []
    for top in range(0, height, step):
        window = (slice(top, min(top + step, height)), slice(0, width))
        dn = cube.array("reflectance").oindex[time, np.array(composite.positions), *window]
        qa = cube.array("qa")[time, *window]
        scl = cube.array("scl")[time, *window] if strict_classes(mask) else None
        clear = clear_pixels(np.asarray(qa), None if scl is None else np.asarray(scl), mask)
        strips.append((_reduce(np.moveaxis(np.asarray(dn), 0, -1), factor), _reduce(clear, factor)))
    pixels, clear_share = (np.concatenate(parts) for parts in zip(*strips, strict=True))
    return Thumbnail(pixels.round().astype(np.uint16), clear_share >= 0.5)


def _reduce(image: NDArray[np.generic], factor: int) -> NDArray[np.float32]:
    """Means of squares of `factor` pixels: (y, x, ...)."""
    height, width = image.shape[0] // factor, image.shape[1] // factor
    blocks = image.reshape(height, factor, width, factor, *image.shape[2:])
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))

"""Between reflectance and the numbers that a cube stores."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sits_data.bands import DN_OFFSET, DN_SCALE

LARGEST = 65535


def to_numbers(reflectance: NDArray[Any]) -> NDArray[np.uint16]:
    """Numbers of a cube for reflectance; what is a number already stays as it is.

    Args:
        reflectance: any shape, unit 1, NaN where nothing is known; or uint16 numbers.

    Returns:
        uint16, `(reflectance + 0.1) * 10000` rounded, from 1 to 65535; 0 where nothing is known.
    """
    if reflectance.dtype == np.uint16:
        return reflectance
    known = np.isfinite(reflectance)
    scaled = (np.where(known, reflectance, 0) - DN_OFFSET) / DN_SCALE
    return np.where(known, np.rint(scaled).clip(1, LARGEST), 0).astype(np.uint16)


def to_reflectance(numbers: NDArray[Any]) -> NDArray[np.float32]:
    """Reflectance for numbers of a cube; what is reflectance already stays as it is.

    Args:
        numbers: any shape, uint16 with 0 where nothing is known; or reflectance.

    Returns:
        float32, unit 1, NaN where nothing is known.
    """
    if np.issubdtype(numbers.dtype, np.floating):
        return numbers.astype(np.float32, copy=False)
    reflectance = numbers * np.float32(DN_SCALE) + np.float32(DN_OFFSET)
    return np.where(numbers == 0, np.float32(np.nan), reflectance)

"""The edges in a picture: what stays of a field when its crop changes colour."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FLAT_DN = 50.0
"""0.005 of reflectance: below this spread in every band there is nothing to hold on to."""


@dataclass(frozen=True)
class Edges:
    """Edges of one window of one date.

    Args:
        strength: (y, x) float16, 0 or more, with a mean of 1 where `known`; 0 elsewhere.
        known: (y, x), True where all pixels that a gradient needs are clear.
        flat: whether no band varies by more than `FLAT_DN`.
    """

    strength: NDArray[np.float16]
    known: NDArray[np.bool_]
    flat: bool


def find_edges(dn: NDArray[np.uint16], clear: NDArray[np.bool_]) -> Edges:
    """Gradient magnitudes, each band scaled to a mean of 1, averaged over the bands.

    Magnitudes and not values: a hedge between two fields is an edge in every month, whichever of
    the two is the brighter one.

    Args:
        dn: (band, y, x).
        clear: (y, x), True = usable.
    """
    known = ndimage.binary_erosion(clear, np.ones((3, 3)), border_value=1)
    if not known.any():
        return Edges(np.zeros(clear.shape, np.float16), known, flat=True)
    total = np.zeros(clear.shape, np.float32)
    bands = dn.astype(np.float32)
    for band in bands:
        magnitude = np.hypot(ndimage.sobel(band, 0), ndimage.sobel(band, 1))
        total += magnitude / max(float(magnitude[known].mean()), 1.0)
    strength = np.where(known, total / len(bands), 0).astype(np.float16)
    return Edges(strength, known, flat=bool(bands[:, clear].std(axis=1).max() < FLAT_DN))

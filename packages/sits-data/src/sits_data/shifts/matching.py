"""Two windows of edges: by how much one lies off the other."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage.registration import phase_cross_correlation

from sits_data.shifts.edges import Edges
from sits_data.shifts.resample import resample

STEPS_PER_PX = 50
"""The peak is searched on a lattice of 0.02 pixels."""


class Match(NamedTuple):
    """How a window fits the reference.

    Args:
        down, right: by how many pixels its content lies off that of the reference.
        correlation: of the two once it is moved back, -1 to 1.
    """

    down: float
    right: float
    correlation: float


def match(reference: Edges, moving: Edges) -> Match:
    """Find the shift at which two windows correlate best.

    scikit-image's `phase_cross_correlation` with its spectrum left as it is (`normalization=None`):
    whitened, the peak is drawn to whole pixels (docs/results/coregistration.md has both).
    What is unclear in either is set to the mean of the rest, and both fade out towards their
    borders, so that neither clouds nor the frame hold the shift at zero.

    Args:
        reference: a window that is not flat.
        moving: another of the same shape.

    Source: Guizar-Sicairos, Thurman and Fienup, Optics Letters 33 (2008), through scikit-image.
    """
    known = reference.known & moving.known
    taper = _taper(known.shape)
    fixed, moved = (_centre(edges.strength, known) * taper for edges in (reference, moving))
    (up, left), _, _ = phase_cross_correlation(  # type: ignore[no-untyped-call]
        fixed, moved, upsample_factor=STEPS_PER_PX, normalization=None
    )
    shift = (-float(up), -float(left))
    back, _ = resample(moved, np.ones(known.shape, bool), shift)
    return Match(*shift, float(np.corrcoef(fixed.ravel(), back.ravel())[0, 1]))


def compose(edges: Sequence[Edges], shifts: Sequence[tuple[float, float]]) -> Edges:
    """The mean of many dates' edges in one window, each moved back by its shift.

    Args:
        edges: at least one, of one shape.
        shifts: pixels down and right, one each.
    """
    total = np.zeros(edges[0].known.shape, np.float32)
    count = np.zeros(total.shape, np.int32)
    for one, shift in zip(edges, shifts, strict=True):
        strength, known = resample(one.strength.astype(np.float32), one.known, shift)
        total += np.where(known, strength, 0)
        count += known
    mean = (total / np.maximum(count, 1)).astype(np.float16)
    return Edges(mean, count > 0, flat=False)


def _centre(strength: NDArray[np.float16], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    values = strength.astype(np.float64)
    return np.where(known, values - values[known].mean(), 0.0)


def _taper(shape: tuple[int, ...]) -> NDArray[np.float64]:
    height, width = shape
    return np.outer(np.hanning(height), np.hanning(width))

"""Look at a picture somewhere between its pixels: four taps an axis, and no tap on what is not there."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

REACH_PX = 2
"""How far beyond the whole part of a shift a tap may lie."""

_ENOUGH = 0.5


def resample(
    image: NDArray[np.number[Any]],
    valid: NDArray[np.bool_],
    shift: tuple[float, float],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Values at (row + down, column + right) of every pixel, by cubic convolution.

    Weights are those of the valid pixels alone, scaled to a sum of 1. A pixel is valid where the
    one nearest to its new place is; where the valid ones have less than half of the weight, it takes
    that one's value. Everything beyond the image is invalid. A pixel depends on 4 x 4 others, so
    that a part of a picture gives that part of the result.

    Args:
        image: (…, y, x).
        valid: the same shape.
        shift: pixels down and right.

    Returns:
        float64 values, 0 where invalid; what is valid.

    Source: Keys, IEEE Transactions on Acoustics, Speech and Signal Processing 29 (1981), a = -1/2.

    >>> values, _ = resample(np.arange(16.0).reshape(4, 4), np.ones((4, 4), bool), (0, 0.5))
    >>> values[1, 1].item()
    5.5
    """
    weight = valid.astype(np.float64)
    value = np.where(valid, image, 0.0).astype(np.float64)
    seen = nearest(valid, shift, fill=False)
    plain = nearest(value, shift, fill=0.0)
    for axis, distance in zip((-2, -1), shift, strict=True):
        value, weight = (_convolve(each, distance, axis) for each in (value, weight))
    mixed = np.divide(value, weight, out=plain, where=weight >= _ENOUGH)
    return np.where(seen, mixed, 0.0), seen


def nearest[T: np.generic](image: NDArray[T], shift: tuple[float, float], *, fill: float) -> NDArray[T]:
    """Values of the pixels nearest to (row + down, column + right); `fill` beyond the image."""
    for axis, distance in zip((-2, -1), shift, strict=True):
        image = _slide(image, math.floor(distance + 0.5), axis, fill)
    return image


def _convolve(image: NDArray[np.float64], distance: float, axis: int) -> NDArray[np.float64]:
    whole = math.floor(distance)
    taps = zip((-1, 0, 1, 2), _weights(distance - whole), strict=True)
    total = np.zeros_like(image)
    for step, weight in taps:
        if weight:
            total += weight * _slide(image, whole + step, axis, 0.0)
    return total


def _weights(t: float) -> tuple[float, float, float, float]:
    """Weights of the pixels at -1, 0, 1 and 2 for a place `t` of the way from 0 to 1."""
    return (
        t * (-0.5 + t * (1 - 0.5 * t)),
        1 + t * t * (-2.5 + 1.5 * t),
        t * (0.5 + t * (2 - 1.5 * t)),
        t * t * (-0.5 + 0.5 * t),
    )


def _slide[T: np.generic](image: NDArray[T], steps: int, axis: int, fill: float) -> NDArray[T]:
    """The image `steps` pixels further along an axis."""
    result = np.full_like(image, fill)
    source, target = np.moveaxis(image, axis, 0), np.moveaxis(result, axis, 0)
    size = len(source)
    first, last = max(0, -steps), min(size, size - steps)
    if first < last:
        target[first:last] = source[first + steps : last + steps]
    return result

"""Random fields with structure: soils, warps, clouds."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

type Field = NDArray[np.float32]


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], *, scale_px: float) -> Field:
    """Gaussian noise of one length, mean 0 and standard deviation 1.

    Args:
        rng: source of randomness.
        shape: rows and columns.
        scale_px: width of the smoothing kernel in pixels, 0.5 or more.
    """
    field = ndimage.gaussian_filter(rng.standard_normal(shape), scale_px, mode="wrap")
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def fractal_noise(
    rng: np.random.Generator, shape: tuple[int, int], *, slope: float, longest_px: float
) -> Field:
    """Noise with power at every length, as clouds have: spectrum k^-slope, mean 0, deviation 1.

    Args:
        rng: source of randomness.
        shape: rows and columns.
        slope: of the amplitude, about 1.5 for ragged and 2 for soft shapes.
        longest_px: longer waves gain no more power.
    """
    height, width = shape
    k = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    amplitude = np.maximum(k, 1 / longest_px) ** -slope
    field = fft.irfft2(fft.rfft2(rng.standard_normal(shape)) * amplitude, s=shape)
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)

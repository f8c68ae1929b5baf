"""The scene classification as Sen2Cor would draw it: right in the main, wrong at the edges.

It misses thin cloud and ragged edges, widens others, takes bright ground for cloud, thick cloud for
snow or nothing in particular, and deep shadow for dark ground. Truth knows better: `Sky.clear`.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sits_data.bands import DEFAULT_BANDS, SCL
from sits_data.simulate.noise import Field, smooth_noise
from sits_data.simulate.sky import Sky

type Classes = NDArray[np.uint8]

B02, B04, B08, B11 = (DEFAULT_BANDS.index(b) for b in ("B02", "B04", "B08", "B11"))


def classify(rng: np.random.Generator, sky: Sky, seen_as: Field, snow: Field | None = None) -> Classes:
    """(y, x) scene classes at 20 m.

    Args:
        rng: source of its errors.
        sky: on the 10 m grid.
        seen_as: (band, y, x) reflectance at 20 m, clouds and all.
        snow: (y, x) part of the ground under snow at 20 m, None where there is none at all.
    """
    shape = seen_as.shape[1:]
    cloud, shadow, cirrus = (halve(f) for f in (sky.cloud, sky.shadow, sky.cirrus))
    doubt = smooth_noise(rng, shape, scale_px=1.5)
    mood = smooth_noise(rng, shape, scale_px=6)
    scl = _ground(rng, seen_as)
    if snow is not None:
        scl[snow > 0.4 + 0.1 * doubt] = SCL.SNOW
    # Edges: the threshold wavers, and here and there a cloud or shadow grows by a pixel.
    grown = np.where(doubt > 0.8, ndimage.maximum_filter(cloud, 3), cloud)
    cast = np.where(doubt < -0.8, ndimage.maximum_filter(shadow, 3), shadow)
    scl[cast > 0.35 + 0.12 * doubt] = SCL.CLOUD_SHADOW
    scl[(cast > 0.5) & (mood > 1.6)] = SCL.DARK_AREA
    scl[(cirrus > 0) & (cirrus > 0.05 + 0.02 * mood)] = SCL.CIRRUS
    thin, medium, thick = (grown > limit + 0.1 * doubt for limit in (0.22, 0.38, 0.72))
    scl[thin] = SCL.UNCLASSIFIED
    scl[medium] = SCL.CLOUD_MEDIUM
    scl[thick] = SCL.CLOUD_HIGH
    scl[thick & (mood > 1.7)] = SCL.SNOW
    scl[thick & (mood < -1.8)] = SCL.UNCLASSIFIED
    scl[halve(sky.seen) < 1] = SCL.NO_DATA
    return scl


def halve(field: NDArray[np.float32] | NDArray[np.bool_]) -> Field:
    """Means of 2 x 2 pixels over the last two axes: from 10 m to 20 m."""
    *lead, height, width = field.shape
    blocks = field.reshape(*lead, height // 2, 2, width // 2, 2)
    return np.asarray(blocks.mean(axis=(-3, -1), dtype=np.float32))


def _ground(rng: np.random.Generator, seen_as: Field) -> Classes:
    red, nir = seen_as[B04], seen_as[B08]
    ndvi = (nir - red) / np.maximum(nir + red, 1e-3)
    speckle = smooth_noise(rng, red.shape, scale_px=0.6)
    scl = np.where(ndvi > 0.38 + 0.02 * speckle, SCL.VEGETATION, SCL.NOT_VEGETATED).astype(np.uint8)
    scl[(np.abs(ndvi - 0.38) < 0.04) & (speckle > 1)] = SCL.UNCLASSIFIED
    scl[(seen_as[B11] < 0.05) & (ndvi < 0.2)] = SCL.WATER
    bright = seen_as[B02] > 0.125 + 0.03 * speckle
    scl[bright & (ndvi < 0.25)] = SCL.CLOUD_MEDIUM
    return scl

"""Patterns within fields: patchy soil, trees, rows, clumps, each with mean 0 over every parcel.

Reflectance is the parcel's mean times (1 + contrast * pattern), so parcel means carry nothing of it.

    meadow      meadow with trees      orchard in rows      orchard in clumps
    . . . .     . o . .                o . o . o .          o o . . . .
    . . . .     . . . .                o . o . o .          o o . . o o
    . . . .     . . o o                o . o . o .          . . . . o o

The last two hold the same pixel values: clumps are rows whose values were dealt out again.
"""

import numpy as np
from numpy.typing import NDArray

from sits_data.bands import DEFAULT_BANDS
from sits_data.simulate.legend import ALL, Texture
from sits_data.simulate.mosaic import Ids, Mosaic
from sits_data.simulate.noise import Field, smooth_noise
from sits_data.simulate.rotation import LandUse
from sits_data.simulate.settings import Settings

CONTRAST: dict[str, float] = {
    "B02": -0.20, "B03": -0.24, "B04": -0.26, "B05": -0.18, "B06": 0.10,
    "B07": 0.15, "B08": 0.17, "B8A": 0.17, "B11": -0.18, "B12": -0.24,
}  # fmt: skip
"""What one unit of pattern does to a band: trees are darker than grass, but not in the near infrared."""

STRENGTH: dict[Texture, float] = {"plain": 0.0, "trees": 1.0, "rows": 1.0, "clumps": 1.0}

SOIL_CONTRAST = 0.05
"""One deviation of soil changes every band of a field by 5 %."""

ROW_SPACING_PX = 3.0


def soil_pattern(settings: Settings, mosaic: Mosaic) -> Field:
    """(y, x) soil that varies smoothly within every field; half of it in patches of some 30 m."""
    rng = settings.rng("soil")
    coarse = smooth_noise(rng, mosaic.unit.shape, scale_px=8)
    fine = smooth_noise(rng, mosaic.unit.shape, scale_px=1.5)
    return _centred(np.clip(0.7 * coarse + 0.7 * fine, -2, 2), mosaic)


def season_patterns(settings: Settings, mosaic: Mosaic, land_use: LandUse) -> Field:
    """(season, y, x) the pattern of each season's class, between -3 and 3."""
    rng = settings.rng("texture")
    rows = _rows(rng, mosaic)
    patterns: dict[Texture, Field] = {
        "plain": np.zeros_like(rows),
        "trees": _trees(rng, mosaic),
        "rows": rows,
        "clumps": _rearranged(rows, smooth_noise(rng, rows.shape, scale_px=1.1), mosaic.parcel),
    }
    kind_of_class = np.array([list(patterns).index(c.texture) for c in ALL])
    kinds = kind_of_class[land_use.classes.T[:, mosaic.unit]]  # (season, y, x)
    layers = np.stack([_centred(patterns[kind], mosaic) for kind in patterns])
    return np.take_along_axis(layers, kinds, axis=0)


def contrasts() -> NDArray[np.float32]:
    """(class, band) what one unit of pattern does to the bands of each class."""
    bands = np.array([CONTRAST[b] for b in DEFAULT_BANDS])
    return np.array([STRENGTH[c.texture] * bands for c in ALL], dtype=np.float32)


def _rows(rng: np.random.Generator, mosaic: Mosaic) -> Field:
    """Lines of trees every 30 m along one side of the field, with gaps and taller trees."""
    units = mosaic.unit.max() + 1
    across = np.where(rng.random(units)[mosaic.unit] < 0.5, mosaic.along, mosaic.across)
    phase = rng.random(units)[mosaic.unit]
    waves = np.cos(2 * np.pi * (across / ROW_SPACING_PX + phase))
    ragged = 1.1 * waves + rng.normal(0, 0.2, waves.shape)
    return np.asarray(ragged.clip(-1.5, 1.5), dtype=np.float32)


def _trees(rng: np.random.Generator, mosaic: Mosaic) -> Field:
    """Groups of trees on about a fifth of the land."""
    crowns = smooth_noise(rng, mosaic.unit.shape, scale_px=0.8)
    return np.where(crowns > 0.85, 1.9, -0.45).astype(np.float32)


def _rearranged(values: Field, guide: Field, parcel: Ids) -> Field:
    """Deal the values of each parcel out again so that they rank as the guide does."""
    ids = parcel.ravel()
    out = np.empty(ids.size, dtype=np.float32)
    out[np.lexsort((guide.ravel(), ids))] = values.ravel()[np.lexsort((values.ravel(), ids))]
    return np.where(parcel > 0, out.reshape(parcel.shape), values)


def _centred(pattern: Field, mosaic: Mosaic) -> Field:
    """The pattern minus its mean over each parcel; other land keeps its own values."""
    ids = mosaic.parcel.ravel()
    sums = np.bincount(ids, pattern.ravel())
    means = sums / np.maximum(np.bincount(ids), 1)
    means[0] = 0
    return np.asarray(pattern - means[mosaic.parcel], dtype=np.float32)

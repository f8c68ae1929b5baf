"""Snow on winter days: bright where it shows, dark in the short-wave infrared."""

from datetime import date

import numpy as np

from sits_data.bands import DEFAULT_BANDS
from sits_data.simulate.noise import Field, smooth_noise
from sits_data.simulate.settings import Settings

SNOW = np.array([0.84, 0.86, 0.85, 0.84, 0.83, 0.82, 0.81, 0.79, 0.11, 0.08], dtype=np.float32)
"""Reflectance of snow some days old, by band of `DEFAULT_BANDS`."""

WINTER_MONTHS = (12, 1, 2)

SNOWY = 0.5
"""Part of the winter's passes that see snow."""

PATCH_PX = 12
"""Size of the patches in which snow melts."""


def snow_cover(settings: Settings, day: date) -> Field | None:
    """(y, x) part of each home pixel under snow on a day, 0 to 1; None on a day without snow."""
    rng = settings.rng("snow", day.toordinal())
    if not settings.snow or day.month not in WINTER_MONTHS or rng.random() > SNOWY:
        return None
    side = settings.size_px
    patches = smooth_noise(rng, (side, side), scale_px=PATCH_PX)
    return np.clip(0.5 + rng.uniform(-0.5, 1.5) + patches, 0, 1).astype(np.float32)


def under_snow(land: Field, snow: Field) -> Field:
    """(band, y, x) reflectance of land that is partly under snow."""
    assert land.shape[0] == len(DEFAULT_BANDS)
    return np.asarray(land + (SNOW[:, None, None] - land) * snow, dtype=np.float32)

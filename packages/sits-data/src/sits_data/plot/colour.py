"""From digital numbers to colours: which bands, which stretch, how unclear pixels are marked."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sits_data.bands import DN_OFFSET, DN_SCALE

Pixels = NDArray[np.uint16]
RGB = NDArray[np.float32]

NO_DATA = (0.90, 0.91, 0.93)
VEIL = (0.86, 0.88, 0.90)
_STROKE = (0.50, 0.55, 0.61)

_COMPOSITES = (
    ("true colour", ("B04", "B03", "B02")),
    ("false colour", ("B08", "B04", "B03")),
    ("false colour", ("B8A", "B04", "B03")),
    ("false colour", ("B12", "B8A", "B04")),
    ("false colour", ("B11", "B08", "B04")),
    ("false colour", ("B11", "B8A", "B05")),
)
_NEAR_INFRARED = ("B08", "B8A")
_SMALLEST_RANGE_DN = 200
_SMALLEST_BALANCED_DN = 700
_GAMMA = 0.75


class Composite(NamedTuple):
    """Three bands to show as red, green and blue, or one as grey.

    Args:
        name: such as `true colour`.
        bands: their ids.
        positions: theirs on the band axis.
    """

    name: str
    bands: tuple[str, ...]
    positions: tuple[int, ...]

    @property
    def label(self) -> str:
        """For captions: `true colour (B04, B03, B02)`."""
        return f"{self.name} ({', '.join(self.bands)})"


class Stretch(NamedTuple):
    """Digital numbers shown as black and as full colour, one pair a channel."""

    low: NDArray[np.float32]
    high: NDArray[np.float32]


def choose_composite(bands: Sequence[str], *, vegetation: bool = False) -> Composite:
    """What to show of the bands that are there.

    Args:
        bands: ids along the band axis.
        vegetation: prefer near infrared as red, in which plants stand out.
    """
    wanted = (*_COMPOSITES[1:], _COMPOSITES[0]) if vegetation else _COMPOSITES
    for name, chosen in wanted:
        if set(chosen) <= set(bands):
            return Composite(name, chosen, tuple(bands.index(band) for band in chosen))
    return Composite("grey", (bands[0],), (0,))


def choose_stretch(pixels: Pixels, clear: NDArray[np.bool_], *, balanced: bool = False) -> Stretch:
    """A stretch from the darkest to the brightest of the clear pixels but for the extremes.

    Args:
        pixels: (..., channel) DN of all that is shown side by side; 0 is not observed.
        clear: (...); where nothing is clear all that was observed counts.
        balanced: one stretch for all channels, so that an even field keeps its hue.
    """
    seen = (pixels > 0).all(axis=-1)
    used = next((p for p in (pixels[seen & clear], pixels[seen]) if len(p)), None)
    if used is None:
        used = np.array([[1000] * pixels.shape[-1], [4000] * pixels.shape[-1]], np.uint16)
    low, high = np.percentile(used, (0.5, 98), axis=0).astype(np.float32)
    if balanced:
        low, high = np.full_like(low, low.min() - 100), np.full_like(high, high.max())
        high = np.maximum(high, low + _SMALLEST_BALANCED_DN)
    return Stretch(low, np.maximum(high, low + _SMALLEST_RANGE_DN))


def paint(pixels: Pixels, stretch: Stretch) -> RGB:
    """Colours of pixels: (..., channel) DN → (..., 3) from 0 to 1; grey where not observed."""
    light = (pixels - stretch.low) / (stretch.high - stretch.low)
    colours = np.broadcast_to(np.clip(light, 0, 1) ** _GAMMA, (*pixels.shape[:-1], 3))
    seen = (pixels > 0).all(axis=-1, keepdims=True)
    return np.where(seen, colours, np.array(NO_DATA)).astype(np.float32)


def ndvi(red: Pixels, near_infrared: Pixels) -> NDArray[np.float32]:
    """Normalised difference vegetation index: same shape, -1 to 1, NaN where not observed."""
    seen = (red > 0) & (near_infrared > 0)
    r, n = (np.maximum(band * DN_SCALE + DN_OFFSET, 1e-4) for band in (red, near_infrared))
    return np.where(seen, (n - r) / (n + r), np.nan).astype(np.float32)


def ndvi_bands(bands: Sequence[str]) -> tuple[int, int] | None:
    """Positions of red and near infrared on the band axis, None when one is missing."""
    near_infrared = next((band for band in _NEAR_INFRARED if band in bands), None)
    if near_infrared is None or "B04" not in bands:
        return None
    return bands.index("B04"), bands.index(near_infrared)


def fit(image: NDArray[Any], height: int, width: int) -> NDArray[np.float32]:
    """An image at an exact size: pixels are repeated to enlarge it and averaged to reduce it.

    Args:
        image: (y, x, ...), numbers or bool.
        height: rows of device pixels.
        width: columns of device pixels.
    """
    for axis, size in enumerate((height, width)):
        count = image.shape[axis]
        first = np.arange(size) * count // size
        if count <= size:
            image = np.take(image, first, axis)
        else:
            sums = np.add.reduceat(image.astype(np.float32), first, axis)
            lengths = np.diff(np.append(first, count)).astype(np.float32)
            image = sums / np.expand_dims(lengths, tuple(d for d in range(image.ndim) if d != axis))
    return image.astype(np.float32)


def veil(
    colours: RGB, unclear: NDArray[np.bool_], *, strength: float, dpi: int, hatching: float = 0.75
) -> RGB:
    """Mark unclear pixels: greyed, hatched and outlined, at the size on the page.

    Args:
        colours: (y, x, 3) device pixels.
        unclear: (y, x) device pixels.
        strength: 0 leaves the colours under the hatching as they are, 1 hides them.
        dpi: sets width and distance of the strokes.
        hatching: how dark the strokes are, 0 to 1.
    """
    width = max(1, round(dpi / 150))
    y, x = np.ogrid[: colours.shape[0], : colours.shape[1]]
    inner = ndimage.binary_erosion(unclear, np.ones((3, 3)), iterations=width, border_value=1)
    stroke = ((y + x) % max(4, round(dpi / 16)) < width) | ~inner
    dark = hatching * np.array(_STROKE) + (1 - hatching) * np.array(VEIL)
    grey = np.where(stroke[..., None], dark, np.array(VEIL))
    amount = np.where(stroke, max(strength, 0.75), strength)[..., None] * unclear[..., None]
    return np.asarray(colours * (1 - amount) + grey * amount, np.float32)

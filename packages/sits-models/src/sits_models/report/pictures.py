"""Arrays as pictures inside the page: PNG, with no text in them and clear where there is no data."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sits_data.plot.colour import Pixels, choose_composite, choose_stretch, paint

_VEIL, _STROKE, _MISSING = np.full(3, 0.87), np.full(3, 0.66), np.full(3, 0.62)
_CELL_PX = 20, 8
_PALE, _DARK = np.array([233, 241, 247]), np.array([0, 74, 122])
_RIGHT, _WRONG = np.array([176, 188, 199]), np.array([213, 94, 0])
_GAMMA = 0.8


def data_url(image: NDArray[np.uint8]) -> str:
    """A picture that needs no file: (y, x, 3 or 4) as the URL of a PNG."""
    data = io.BytesIO()
    Image.fromarray(image).save(data, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"


def paint_classes(indices: NDArray[np.integer], colours: Sequence[str]) -> NDArray[np.uint8]:
    """Classes in their colours.

    Args:
        indices: (y, x); what is no position in `colours` is transparent.
        colours: `#rrggbb` by index.

    Returns:
        (y, x, 4), red, green, blue and opacity.
    """
    palette = np.zeros((len(colours) + 1, 4), np.uint8)
    for index, colour in enumerate(colours):
        palette[index] = [*bytes.fromhex(colour.removeprefix("#")), 255]
    known = (indices >= 0) & (indices < len(colours))
    return np.asarray(palette[np.where(known, indices, len(colours))])


def paint_confidence(sure: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Probabilities from pale (0) to dark (1): (y, x, 4); transparent where they are NaN."""
    return _between(sure, _PALE, _DARK)


def paint_errors(share: NDArray[np.float32]) -> NDArray[np.uint8]:
    """How often something is wrong, from grey (0) to orange (1): (y, x, 4); transparent where NaN."""
    return _between(share, _RIGHT, _WRONG)


def _between(
    values: NDArray[np.float32], low: NDArray[np.integer[Any]], high: NDArray[np.integer[Any]]
) -> NDArray[np.uint8]:
    known = np.isfinite(values)
    share = np.clip(np.where(known, values, 0), 0, 1)[..., None]
    colours = low + share * (high - low)
    opaque = 255 * known[..., None]
    return np.asarray(np.concatenate([np.round(colours), opaque], axis=-1), dtype=np.uint8)


def gradient(*, errors: bool = False) -> str:
    """The colours of `paint_confidence`, or of `paint_errors`, from 0 to 1, as stops of a gradient."""
    ends = (_RIGHT, _WRONG) if errors else (_PALE, _DARK)
    return ", ".join("#{:02x}{:02x}{:02x}".format(*colour) for colour in ends)


def paint_ground(pixels: Pixels, clear: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Digital numbers of one date as colours.

    Args:
        pixels: (y, x, 1 or 3) DN, 0 = not observed.
        clear: (y, x), which set the stretch.
    """
    return _bytes(paint(pixels, choose_stretch(pixels, clear)))


def paint_view(
    image: NDArray[np.floating], clear: NDArray[np.bool_], bands: Sequence[str]
) -> NDArray[np.uint8]:
    """A planar image as a network sees it: near infrared as red; hatched where it does not look.

    Args:
        image: (C, T, L) normalised, so that -1 to 1 are most of the values; 0 where not observed.
        clear: (T, L), True = looked at.
        bands: ids along C.

    Returns:
        (20 T, 8 L, 3): pixels are enlarged, so that the hatching fits into them.
    """
    shown = list(choose_composite(bands, vegetation=True).positions)
    values = image[shown].transpose(1, 2, 0).astype(np.float64)
    colours = np.clip(values / 2 + 0.5, 0, 1) ** _GAMMA
    colours = np.broadcast_to(colours, (*clear.shape, 3))
    observed = (image != 0).any(axis=0)
    grey = np.where(observed[..., None], 0.25 * colours + 0.75 * _VEIL, _MISSING)
    large = _enlarge(np.where(clear[..., None], colours, grey))
    y, x = np.indices(large.shape[:2])
    stroke = ((x + y) % 8 < 2) & _enlarge(observed & ~clear)
    return _bytes(np.where(stroke[..., None], _STROKE, large))


def _enlarge(cells: NDArray[Any]) -> NDArray[Any]:
    return cells.repeat(_CELL_PX[0], axis=0).repeat(_CELL_PX[1], axis=1)


def _bytes(colours: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Colours from 0 to 1 as bytes."""
    return np.round(np.clip(colours, 0, 1) * 255).astype(np.uint8)

"""One window of one solar day, each raster at its native resolution.

20 m bands are read at 20 m and each value is repeated 2 x 2; 10 m bands of a 20 m cube are read at
10 m and averaged over the valid pixels. Nothing on the cube's own zone is interpolated; scenes of
another zone are warped, bilinearly for reflectance and to the nearest pixel for classes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.loader import RasterLoadParams

from sits_data.bands import BANDS, DN_SHIFT, SCL_NATIVE_M
from sits_data.grid import Grid, Window
from sits_data.mask import Refinement, qa_from_scl, refine, refined_qa
from sits_data.memory import WindowMemory
from sits_data.rasters import CLASSES, REFLECTANCE, RasterReader
from sits_data.scenes import SCL_KEY, Scene

_STRIP_ROWS = 64
"""Rows that are worked on at once, so that they stay in the cache."""

PLAIN, UNREFINED = RasterReader(), Refinement()


@dataclass(frozen=True)
class DayWindow:
    """What one solar day shows in one window.

    Args:
        reflectance: (band, y, x) uint16, DN = 10000 * reflectance + 1000, 0 = no data.
        scl: (y, x) uint8 scene classification, 0 = no data.
        qa: (y, x) uint8 bits of `QA`.
        scene: (y, x) int16, which of the day's scenes the pixel is of, -1 = none.
    """

    reflectance: NDArray[np.uint16]
    scl: NDArray[np.uint8]
    qa: NDArray[np.uint8]
    scene: NDArray[np.int16]


def read_day(
    scenes: Sequence[Scene],
    grid: Grid,
    window: Window,
    bands: Sequence[str],
    *,
    reader: RasterReader = PLAIN,
    refinement: Refinement = UNREFINED,
    parts: Sequence[Window] | None = None,
    memory: WindowMemory | None = None,
) -> DayWindow:
    """Read a window of a day; where scenes overlap, the first that saw a pixel gives all its bands.

    Args:
        scenes: of one solar day, the one that wins first.
        grid: the cube's grid.
        window: which of its pixels.
        bands: canonical ids, in the order wanted; none reads the scene classification alone.
        reader: how rasters are read.
        refinement: how clouds are shrunk and widened in `qa`, at SCL's own resolution.
        parts: of the window in which bands are read; elsewhere they are 0.
        memory: that what is returned may lie in; by default it is fresh.

    Raises:
        UnreadableSource: a raster is missing, damaged or does not answer.
    """
    first, *others = scenes
    memory = memory or WindowMemory()
    view = _View(grid, window, tuple(parts or [window]), reader)
    reflectance, scl = _read_scene(first, bands, view, memory)
    seen = _seen(reflectance, scl)
    owner = memory.zeros("scene", scl.shape, np.int16)
    np.subtract(seen, np.int16(1), out=owner)
    for index, scene in enumerate(others, start=1):
        if seen.all():
            break
        more, more_scl = _read_scene(scene, bands, view, WindowMemory())
        take = ~seen & _seen(more, more_scl)
        np.copyto(reflectance, more, where=take)
        np.copyto(scl, more_scl, where=take)
        owner[take] = index
        seen |= take
    qa = qa_from_scl(scl)
    if not refinement.nothing:
        qa = refined_qa(qa, *_refined(scenes, grid, window, refinement, reader))
    return DayWindow(reflectance, scl, qa, owner)


def _seen(reflectance: NDArray[np.uint16], scl: NDArray[np.uint8]) -> NDArray[np.bool_]:
    seen = np.asarray(scl != 0)
    for band in reflectance:
        if seen.all():
            break
        seen |= band != 0
    return seen


@dataclass(frozen=True)
class _View:
    """What is read of every raster, and how.

    Args:
        grid: the cube's.
        window: of its pixels.
        parts: of the window in which bands are read.
        reader: how rasters are read.
    """

    grid: Grid
    window: Window
    parts: tuple[Window, ...]
    reader: RasterReader


def _read_scene(
    scene: Scene, bands: Sequence[str], view: _View, memory: WindowMemory
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    window = view.window
    shape = window.height, window.width
    reflectance = memory.zeros("reflectance", (len(bands), *shape), np.uint16)
    for out, band in zip(reflectance, bands, strict=True):
        for part in view.parts:
            top, left = part.y - window.y, part.x - window.x
            _read_band(scene, band, view, part, out[top : top + part.height, left : left + part.width])
    scl = memory.zeros("scl", shape, np.uint8)
    native_scl, (top, left) = _read_native(
        scene.hrefs[SCL_KEY], view.grid, window, SCL_NATIVE_M, CLASSES, view.reader
    )
    _resize(native_scl, top, left, scl, SCL_NATIVE_M, view.grid.resolution_m)
    return reflectance, scl


def _read_band(scene: Scene, band: str, view: _View, part: Window, out: NDArray[np.uint16]) -> None:
    """Read a band in a part of a window, in the cube's convention."""
    native_m, cube_m, shift_dn = BANDS[band].native_m, view.grid.resolution_m, DN_SHIFT + scene.offset_dn
    href = scene.hrefs[band]
    if native_m == cube_m:
        view.reader.read(href, view.grid.window_geobox(part), REFLECTANCE, out)
    else:
        native, (top, left) = _read_native(href, view.grid, part, native_m, REFLECTANCE, view.reader)
        if native_m > cube_m:
            _shift(native, shift_dn)  # fewer values than their copies
        _resize(native, top, left, out, native_m, cube_m)
    if native_m <= cube_m:
        _shift(out, shift_dn)


def _read_native(
    href: str,
    grid: Grid,
    window: Window,
    native_m: int,
    load: RasterLoadParams,
    reader: RasterReader,
    *,
    pad: int = 0,
) -> tuple[NDArray[Any], tuple[int, int]]:
    """Read the native pixels that touch a window; also where the window starts inside them.

    Returns:
        Values (y, x); metres from their top and left edges to the window's.
    """
    step = grid.resolution_m
    top, left = window.y * step, window.x * step
    first_row, first_col = top // native_m - pad, left // native_m - pad
    rows = math.ceil((top + window.height * step) / native_m) + pad - first_row
    cols = math.ceil((left + window.width * step) / native_m) + pad - first_col
    native = grid.model_copy(update={"resolution_m": native_m})
    geobox = native.window_geobox(Window(first_row, first_col, rows, cols))
    out = np.zeros((rows, cols), load.dtype)
    reader.read(href, geobox, load, out)
    return out, (top - first_row * native_m, left - first_col * native_m)


def _resize[T: np.generic](
    native: NDArray[T], top_m: int, left_m: int, out: NDArray[T], native_m: int, cube_m: int
) -> None:
    """Bring native pixels to the cube's resolution: repeat, average, or take the centre class."""
    if native_m > cube_m:
        factor = native_m // cube_m
        top, left = top_m // cube_m, left_m // cube_m
        if top == left == 0 and out.shape == (native.shape[0] * factor, native.shape[1] * factor):
            rows, cols = native.shape
            blocks = out.reshape(rows, factor, cols, factor)
            for col in range(factor):  # one broadcast takes four times as long
                blocks[:, 0, :, col] = native
            blocks[:, 1:] = blocks[:, :1]
        else:
            whole = native.repeat(factor, 0).repeat(factor, 1)
            out[...] = whole[top : top + out.shape[0], left : left + out.shape[1]]
    elif native_m == cube_m:
        out[...] = native
    else:
        factor = cube_m // native_m
        blocks = native.reshape(out.shape[0], factor, out.shape[1], factor)
        if native.dtype == np.uint8:
            out[...] = blocks[:, factor // 2, :, factor // 2]
        else:
            out[...] = _mean_of_valid(blocks)


def _mean_of_valid(blocks: NDArray[np.generic]) -> NDArray[np.uint16]:
    """Mean over axes 1 and 3 of what is not 0, rounded half up; 0 where nothing is valid."""
    total = blocks.sum(axis=(1, 3), dtype=np.uint32)
    count = np.count_nonzero(blocks, axis=(1, 3)).astype(np.uint32)
    return np.asarray((total + count // 2) // np.maximum(count, 1), np.uint16)


def _shift(values: NDArray[np.uint16], shift_dn: int) -> None:
    """Add to what is not 0, in place, saturating at 65535."""
    for top in range(0, len(values) if shift_dn else 0, _STRIP_ROWS):
        rows = values[top : top + _STRIP_ROWS]
        valid = rows != 0
        np.minimum(rows, 65535 - shift_dn, out=rows)
        if valid.all():
            rows += np.uint16(shift_dn)
        else:
            np.add(rows, np.uint16(shift_dn), out=rows, where=valid)


def _refined(
    scenes: Sequence[Scene],
    grid: Grid,
    window: Window,
    refinement: Refinement,
    reader: RasterReader,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where marks stay, and what is near them: looks beyond the window, so that its borders vanish."""
    pad = refinement.reach_px(SCL_NATIVE_M)
    mosaic: NDArray[np.uint8] | None = None
    for scene in scenes:
        scl, (top, left) = _read_native(
            scene.hrefs[SCL_KEY], grid, window, SCL_NATIVE_M, CLASSES, reader, pad=pad
        )
        mosaic = scl if mosaic is None else np.where(mosaic == 0, scl, mosaic)
    assert mosaic is not None
    shift, inner = pad * SCL_NATIVE_M, slice(pad, -pad)

    def on_grid(native: NDArray[np.bool_]) -> NDArray[np.bool_]:
        out = np.zeros((window.height, window.width), np.uint8)
        part = native[inner, inner].astype(np.uint8)
        _resize(part, top - shift, left - shift, out, SCL_NATIVE_M, grid.resolution_m)
        return out.astype(bool)

    refined = refine(qa_from_scl(mosaic), refinement, SCL_NATIVE_M)
    return on_grid(refined.kept), on_grid(refined.near)

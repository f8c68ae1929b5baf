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

from sits_data.alignment import Part
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
        parts: of the window, each read by itself, whatever the others are; elsewhere all is 0. By
            default the window is one part.
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
    if others:
        unseen = ~seen & view.wanted
        for index, scene in enumerate(others, start=1):
            if not unseen.any():
                break
            more, more_scl = _read_scene(scene, bands, view, WindowMemory())
            take = unseen & _seen(more, more_scl)
            np.copyto(reflectance, more, where=take)
            np.copyto(scl, more_scl, where=take)
            owner[take] = index
            unseen &= ~take
    qa = qa_from_scl(scl)
    if not refinement.nothing:
        qa = refined_qa(qa, *_refined(scenes, view, refinement))
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
        parts: of the window, each read by itself.
        reader: how rasters are read.
    """

    grid: Grid
    window: Window
    parts: tuple[Window, ...]
    reader: RasterReader

    @property
    def slices(self) -> list[Part]:
        """Rows and columns of the parts in the window."""
        return [
            (slice(top, top + part.height), slice(left, left + part.width))
            for part in self.parts
            for top, left in [(part.y - self.window.y, part.x - self.window.x)]
        ]

    @property
    def wanted(self) -> NDArray[np.bool_]:
        """Which pixels of the window are in a part."""
        wanted = np.zeros((self.window.height, self.window.width), bool)
        for part in self.slices:
            wanted[part] = True
        return wanted


def _read_scene(
    scene: Scene, bands: Sequence[str], view: _View, memory: WindowMemory
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    shape = view.window.height, view.window.width
    reflectance = memory.zeros("reflectance", (len(bands), *shape), np.uint16)
    for out, band in zip(reflectance, bands, strict=True):
        _read_band(scene, band, view, out)
    scl = memory.zeros("scl", shape, np.uint8)
    classes = _read_native(scene.hrefs[SCL_KEY], view, SCL_NATIVE_M, CLASSES)
    for part, (native, edges) in zip(view.slices, classes, strict=True):
        _resize(native, edges, scl[part], SCL_NATIVE_M, view.grid.resolution_m)
    return reflectance, scl


def _read_band(scene: Scene, band: str, view: _View, out: NDArray[np.uint16]) -> None:
    """Read a band of a window, in the cube's convention."""
    native_m, cube_m, shift_dn = BANDS[band].native_m, view.grid.resolution_m, DN_SHIFT + scene.offset_dn
    if native_m == cube_m:
        there = [view.grid.window_geobox(part) for part in view.parts]
        here = [out[part] for part in view.slices]
        view.reader.read(scene.hrefs[band], list(zip(there, here, strict=True)), load=REFLECTANCE)
    else:
        natives = _read_native(scene.hrefs[band], view, native_m, REFLECTANCE)
        for part, (native, edges) in zip(view.slices, natives, strict=True):
            if native_m > cube_m:
                _shift(native, shift_dn)  # fewer values than their copies
            _resize(native, edges, out[part], native_m, cube_m)
    if native_m <= cube_m:
        _shift(out, shift_dn)


def _read_native(
    href: str, view: _View, native_m: int, load: RasterLoadParams, *, pad: int = 0
) -> list[tuple[NDArray[Any], tuple[int, int]]]:
    """Read the native pixels that touch each part, and so many around them.

    Returns:
        Values (y, x) of each part; metres from their top and left edges to the part's.
    """
    step = view.grid.resolution_m
    native = view.grid.model_copy(update={"resolution_m": native_m})
    targets, edges = [], []
    for part in view.parts:
        top, left = part.y * step // native_m - pad, part.x * step // native_m - pad
        bottom = math.ceil((part.y + part.height) * step / native_m) + pad
        right = math.ceil((part.x + part.width) * step / native_m) + pad
        around = Window(top, left, bottom - top, right - left)
        values = np.zeros((around.height, around.width), load.dtype)
        targets.append((native.window_geobox(around), values))
        edges.append((part.y * step - top * native_m, part.x * step - left * native_m))
    view.reader.read(href, targets, load=load)
    return [(values, edge) for (_, values), edge in zip(targets, edges, strict=True)]


def _resize[T: np.generic](
    native: NDArray[T], edges_m: tuple[int, int], out: NDArray[T], native_m: int, cube_m: int
) -> None:
    """Bring native pixels to the cube's resolution: repeat, average, or take the centre class."""
    if native_m > cube_m:
        factor = native_m // cube_m
        top, left = (edge // cube_m for edge in edges_m)
        if top == left == 0 and out.shape == (native.shape[0] * factor, native.shape[1] * factor):
            rows, cols = native.shape
            blocks = out.reshape(rows, factor, cols, factor, copy=False)
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
        if rows.max() > 65535 - shift_dn:
            np.minimum(rows, 65535 - shift_dn, out=rows)
        if rows.min():
            rows += np.uint16(shift_dn)
        else:
            np.add(rows, np.uint16(shift_dn), out=rows, where=rows != 0)


def _refined(
    scenes: Sequence[Scene], view: _View, refinement: Refinement
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where marks stay, and what is near them: looks beyond each part, so that its borders vanish."""
    pad = refinement.reach_px(SCL_NATIVE_M)
    inner = slice(pad, -pad)
    looks = [
        _read_native(scene.hrefs[SCL_KEY], view, SCL_NATIVE_M, CLASSES, pad=pad) for scene in scenes
    ]
    kept, near = (np.zeros((view.window.height, view.window.width), np.uint8) for _ in range(2))
    for part, *natives in zip(view.slices, *looks, strict=True):
        mosaic, (top, left) = natives[0]
        for more, _ in natives[1:]:
            np.copyto(mosaic, more, where=mosaic == 0)
        refined = refine(qa_from_scl(mosaic), refinement, SCL_NATIVE_M)
        edges = top - pad * SCL_NATIVE_M, left - pad * SCL_NATIVE_M
        for native, out in ((refined.kept, kept), (refined.near, near)):
            marks = native[inner, inner].astype(np.uint8)
            _resize(marks, edges, out[part], SCL_NATIVE_M, view.grid.resolution_m)
    return kept.astype(bool), near.astype(bool)

"""The bits of one unit: found, refined, and what happened to it kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from sits_data.bands import DN_OFFSET, DN_SCALE, SCL_NATIVE_M
from sits_data.cube import RawCube
from sits_data.detectors import SCL, CloudDetector, View
from sits_data.errors import InvalidRequest
from sits_data.grid import Window
from sits_data.ledger import Unit
from sits_data.mask import FLAGS, OBSCURED, QA, QaSettings, qa_from_scl, refine, refined_qa

FINDABLE = OBSCURED | QA.SNOW
"""What a detector may say."""


@dataclass(frozen=True)
class Eyes:
    """Who looks at a cube.

    Args:
        raw: the cube.
        settings: detectors and distances.
        detectors: those that the settings name, `scl` left out, in their order.
    """

    raw: RawCube
    settings: QaSettings
    detectors: Sequence[CloudDetector]

    @property
    def factor(self) -> int:
        """Pixels of the cube along one of SCL; a coarser cube has kept one value a pixel."""
        return max(1, SCL_NATIVE_M // self.raw.resolution_m)

    def look(self, unit: Unit) -> NDArray[np.uint8]:
        """(y, x) the bits of a unit."""
        raw, side = self.raw, self.raw.chunk_px
        height, width = raw.geobox.shape
        y, x = unit.row * side, unit.col * side
        block = Window(y, x, min(side, height - y), min(side, width - x))
        qa = self._refined(unit, block)
        was = raw.read("qa", (unit.time, *_slices(block)))
        # Where nothing is known, because reading failed or was not wanted, it stays unknown.
        blind = ((was & FLAGS) != 0) & (raw.read("scl", (unit.time, *_slices(block))) == 0)
        unseen = np.uint8(QA.NO_DATA)
        qa = np.where(blind, (qa & ~unseen) | (was & unseen), qa)
        return np.asarray(qa | (was & np.uint8(FLAGS)))

    def _refined(self, unit: Unit, block: Window) -> NDArray[np.uint8]:
        """(y, x) bits of a block, but for what happened to it when it was read."""
        step = self.factor
        cell_m = self.raw.resolution_m * step
        pad = self.settings.reach_px(cell_m) * step
        found, inside = self._found(unit.time, block, pad)
        if self.settings.nothing:
            return found[inside]
        coarse = _coarsen(found, step)
        refined = refine(coarse, self.settings, cell_m)
        kept, near = (
            each.repeat(step, 0).repeat(step, 1)[inside] for each in (refined.kept, refined.near)
        )
        return refined_qa(found[inside], kept, near)

    def _found(
        self, time_index: int, block: Window, pad: int
    ) -> tuple[NDArray[np.uint8], tuple[slice, slice]]:
        """Bits of a block and what is around it, and where the block lies in them.

        Beyond the cube there is no data; sides are whole pixels of SCL.
        """
        step = self.factor
        whole = self._clip(block, pad)
        scl = self.raw.read("scl", (time_index, *_slices(whole)))
        bits = qa_from_scl(scl)
        if SCL not in self.settings.detectors:
            bits &= ~np.uint8(OBSCURED)
        for name, detector in zip(others(self.settings), self.detectors, strict=True):
            bits |= self._detect(name, detector, time_index, whole)
        rows, cols = (-(-(size + 2 * pad) // step) * step for size in (block.height, block.width))
        out = np.full((rows, cols), np.uint8(QA.NO_DATA))
        top, left = whole.y - block.y + pad, whole.x - block.x + pad
        out[top : top + whole.height, left : left + whole.width] = bits
        return out, (slice(pad, pad + block.height), slice(pad, pad + block.width))

    def _detect(
        self, name: str, detector: CloudDetector, time_index: int, window: Window
    ) -> NDArray[np.uint8]:
        """(y, x) what a detector finds in a window, which it sees with its surroundings."""
        raw, step = self.raw, self.factor
        context = -(-round(detector.context_m) // (raw.resolution_m * step)) * step
        seen = self._clip(window, context)
        positions = [raw.bands.index(band) for band in detector.bands]
        dn = np.empty((0, seen.height, seen.width), np.uint16)
        if positions:  # a chunk holds all bands, so one read has them
            dn = raw.read("reflectance", (time_index, slice(None), *_slices(seen)))[positions]
        values = np.where(dn == 0, np.nan, dn * np.float32(DN_SCALE) + np.float32(DN_OFFSET))
        view = View(days_of(raw)[time_index], raw.geobox[_slices(seen)], values.astype(np.float32))
        bits = np.asarray(detector.detect(view))
        right = bits.shape == (seen.height, seen.width) and bits.dtype == np.uint8
        if not right or (bits & ~np.uint8(FINDABLE)).any():
            raise InvalidRequest(
                f"a detector must give {seen.height} x {seen.width} uint8 with bits of cloud, shadow, "
                f"cirrus and snow, {name} gave {bits.dtype} {bits.shape} with values up to "
                f"{bits.max(initial=0)}; mend it, or leave it out"
            )
        top, left = window.y - seen.y, window.x - seen.x
        return bits[top : top + window.height, left : left + window.width]

    def _clip(self, window: Window, pad: int) -> Window:
        """A window with so many pixels around it, as far as the cube goes."""
        height, width = self.raw.geobox.shape
        y, x = max(0, window.y - pad), max(0, window.x - pad)
        bottom = min(height, window.y + window.height + pad)
        right = min(width, window.x + window.width + pad)
        return Window(y, x, bottom - y, right - x)


def _coarsen(bits: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Bits of step x step pixels in one: what hides any of them; no data where all of them lack it."""
    rows, cols = (size // step for size in bits.shape)
    blocks = bits.reshape(rows, step, cols, step)
    hidden = np.bitwise_or.reduce(blocks, axis=(1, 3)) & np.uint8(OBSCURED)
    return np.asarray(hidden | (np.bitwise_and.reduce(blocks, axis=(1, 3)) & np.uint8(QA.NO_DATA)))


def _slices(window: Window) -> tuple[slice, slice]:
    return slice(window.y, window.y + window.height), slice(window.x, window.x + window.width)


def days_of(raw: RawCube) -> tuple[date, ...]:
    """Solar days of a cube, in order."""
    return tuple(day.item() for day in raw.dates.astype("datetime64[D]"))


def others(settings: QaSettings) -> tuple[str, ...]:
    """Names of the detectors besides `scl`."""
    return tuple(name for name in settings.detectors if name != SCL)

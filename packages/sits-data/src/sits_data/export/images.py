"""Planar images written out: each region along a curve, or along its random walks.

Source of the canvas: Chelali et al., CVIU 208-209 (2021), sections 3.4 and 4.4, and VISAPP 2020, section
4.2.1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from sits_data.bands import DN_OFFSET, DN_SCALE
from sits_data.errors import InvalidRequest
from sits_data.orders import (
    ORDERS,
    CurveName,
    OrderName,
    WalkKey,
    neighbours,
    order,
    parse_curve,
    permutation,
    random_walks,
    slice_through,
    spectral,
    walk_count,
)
from sits_data.planar import gather
from sits_data.series import resample
from sits_data.store import PlanarStore, Region
from sits_data.store.statistics import DN_VALUES, count_values

Form = Literal["native", "cviu2021"]

SIDE = 224
PAPER_BANDS = ("B08", "B04", "B03")
_YEAR_DAYS = 365
_PERCENTILES = 0.02, 0.98


@dataclass(frozen=True)
class Curve:
    """Which images a region gives.

    Args:
        name: see `sits_data.orders.names`; "hilbert:*" is not known here.
        length: positions of a walk, and of a line at most.
        fraction: walks or lines a pixel: a region gets ceil(fraction · pixels).
        seed: of shuffles, walks and lines, modulo 2³².

    Raises:
        InvalidRequest: the name is unknown, or a number is out of its range.
    """

    name: str = "hilbert"
    length: int = 50
    fraction: float = 0.7
    seed: int = 0

    def __post_init__(self) -> None:
        if self._parsed.kind in ORDERS and self._parsed.dihedral is None:
            raise InvalidRequest(f"an export needs one curve, got {self.name}; choose one of :0 to :7")
        if self.length < 1:
            raise InvalidRequest(f"a walk must have at least 1 position, got {self.length}")
        walk_count(1, self.fraction)

    @property
    def _parsed(self) -> CurveName:
        return parse_curve(self.name)

    @property
    def several(self) -> bool:
        """Whether a region gives several images: walks, or lines."""
        return self._parsed.kind in ("walk", "line")

    def indices(self, region: Region, clear: NDArray[np.bool_]) -> list[NDArray[np.int32]]:
        """Index lists into the region's rows: one, or one a walk or line.

        Args:
            region: with P pixels.
            clear: (P, T) where it was seen.
        """
        key, curve = WalkKey(self.seed % 2**32, region.id, -1, 0), self._parsed
        if curve.kind == "random":
            return [permutation(len(region.yx), key)]
        if not self.several:
            return [order(cast(OrderName, curve.kind), region.yx, dihedral=curve.dihedral or 0)]
        count = int(walk_count(len(region.yx), self.fraction))
        near = neighbours(region.yx, connectivity=curve.connectivity)
        if curve.kind == "walk":
            if curve.sigma is not None:
                near = spectral(near, _spectra(region, clear), curve.sigma)
            return list(random_walks(near, count=count, length=self.length, key=key, law=curve.law))
        # Lines go through the pixels at which as many walks would start.
        starts = random_walks(near, count=count, length=1, key=key)[:, 0]
        return [self._middle(slice_through(region.yx, row, curve.direction), row) for row in starts]

    def _middle(self, line: NDArray[np.int32], row: int) -> NDArray[np.int32]:
        """Of a line that is too long, the part with a pixel nearest to its middle."""
        place = int(np.flatnonzero(line == row)[0])
        skip = min(max(place - self.length // 2, 0), max(len(line) - self.length, 0))
        return line[skip : skip + self.length]

    def count(self, pixels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Index lists of regions with so many pixels, (R,)."""
        return walk_count(pixels, self.fraction) if self.several else np.ones_like(pixels)


def _spectra(region: Region, clear: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(P, C) median reflectance of each pixel on its clear dates, the lower of two; 0 without any."""
    values = np.where(clear[..., None], region.pixels * DN_SCALE + DN_OFFSET, np.nan)
    ascending = np.sort(values.astype(np.float32), axis=1)  # NaN come last
    middle = np.maximum(clear.sum(axis=1) - 1, 0) // 2
    found = np.take_along_axis(ascending, middle[:, None, None], axis=1)[:, 0]
    return np.nan_to_num(found)


@dataclass(frozen=True, eq=False)
class Layout:
    """All images together.

    Args:
        count: how many.
        shape: (C, T, L) of the longest.
        dtype: of their values.
        low, high: (C,) values that a picture draws black and white.
    """

    count: int
    shape: tuple[int, int, int]
    dtype: str
    low: NDArray[np.float32]
    high: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PlanarImage:
    """One image of a region.

    Args:
        region: the region's id.
        label: its class, -1 = unlabelled.
        number: of the image among the region's.
        image: (C, T, L) uint16 DN, 0 = not observed; on the canvas float32, 0 … 1.
        clear: (T, L) bool: usable; on the canvas: whether the pixel was ever clear.
        index: (L,) int32 row of the region at each position, -1 where there is none.
    """

    region: int
    label: int
    number: int
    image: NDArray[np.uint16] | NDArray[np.float32]
    clear: NDArray[np.bool_]
    index: NDArray[np.int32]


@dataclass(frozen=True)
class Native:
    """Images as the store has them: all dates, as many positions as the curve has.

    Args:
        bands: (C,) positions of the bands.
        unclear_bits: of `qa`.
        low, high: (C,) DN that a picture draws black and white.
    """

    bands: NDArray[np.int64]
    unclear_bits: int
    low: NDArray[np.float32]
    high: NDArray[np.float32]

    def layout(self, store: PlanarStore, curve: Curve) -> Layout:
        """What to expect of a store."""
        pixels = store.regions["pixels"].to_numpy().astype(np.int64)
        longest = curve.length if curve.several else int(pixels.max())
        shape = len(self.bands), len(store.dates), longest
        return Layout(int(curve.count(pixels).sum()), shape, "uint16", self.low, self.high)

    def images(self, region: Region, curve: Curve) -> Iterator[PlanarImage]:
        """All images of a region."""
        clear = (region.qa & self.unclear_bits) == 0
        clear &= (region.pixels != 0).all(axis=2)
        pixels = region.pixels[:, :, self.bands]
        for number, index in enumerate(curve.indices(region, clear)):
            image = gather(pixels, index)
            yield PlanarImage(region.id, region.label, number, image, clear[index].T, index)


@dataclass(frozen=True)
class Canvas:
    """The paper's 224 × 224: a year interpolated onto 224 instants, positions fitted to 224 columns.

    Walks stand in the middle, between columns of 0. A curve that is shorter is repeated until the canvas
    is full; a longer one is cut into several images, the last of them filled by repeating itself.

    Args:
        bands: (C,) positions of the bands.
        unclear_bits: of `qa`.
        dates: (T,) days.
        year: that the canvas shows, from 1 January on.
        low, high: (C,) DN that become 0 and 1; values beyond are clipped.
    """

    bands: NDArray[np.int64]
    unclear_bits: int
    dates: NDArray[np.int32]
    year: int
    low: NDArray[np.float32]
    high: NDArray[np.float32]

    def layout(self, store: PlanarStore, curve: Curve) -> Layout:
        """What to expect of a store."""
        pixels = store.regions["pixels"].to_numpy().astype(np.int64)
        length = np.full_like(pixels, curve.length) if curve.several else pixels
        count = int((curve.count(pixels) * -(-length // SIDE)).sum())
        ends = np.zeros(len(self.bands), np.float32), np.ones(len(self.bands), np.float32)
        return Layout(count, (len(self.bands), SIDE, SIDE), "float32", *ends)

    def images(self, region: Region, curve: Curve) -> Iterator[PlanarImage]:
        """All images of a region."""
        clear = (region.qa & self.unclear_bits) == 0
        clear &= (region.pixels != 0).all(axis=2)
        new_year = np.datetime64(str(self.year), "D").astype(np.int64)
        instants = new_year + np.arange(SIDE) * (_YEAR_DAYS / SIDE)
        values = region.pixels[:, :, self.bands].astype(np.float32)
        filled = resample(values, clear, self.dates, instants)
        scaled = np.clip((filled.values - self.low) / (self.high - self.low), 0, 1)
        scaled[~filled.observed] = 0
        pieces = [piece for index in curve.indices(region, clear) for piece in _fit(index, curve)]
        for number, index in enumerate(pieces):
            seen = (index >= 0) & filled.observed[index]
            image = gather(scaled.astype(np.float32), index)
            everywhere = np.broadcast_to(seen, (SIDE, SIDE))
            yield PlanarImage(region.id, region.label, number, image, everywhere, index)


def dates_by_year(dates: NDArray[np.int32]) -> dict[int, int]:
    """How many dates lie in each calendar year, the last year first."""
    years = dates.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    known, count = np.unique(years, return_counts=True)
    return dict(zip(known[::-1].tolist(), count[::-1].tolist(), strict=True))


def stretch(
    stores: Sequence[PlanarStore], bands: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The 2nd and the 98th percentile of some stores' clear DN, (C,) each.

    Raises:
        InvalidRequest: nothing is clear.
    """
    counts = np.zeros((len(bands), DN_VALUES), np.int64)
    for store in stores:
        counts += count_values(store)[bands]
    if not counts.any():
        raise InvalidRequest(f"{stores[0].path} has no clear observation; planarize with another --mask")
    share = np.cumsum(counts, axis=1) / counts.sum(axis=1, keepdims=True)
    low, high = ((share >= part).argmax(axis=1).astype(np.float32) for part in _PERCENTILES)
    return low, np.maximum(high, low + 1)


def _fit(index: NDArray[np.int32], curve: Curve) -> Iterator[NDArray[np.int32]]:
    """Index lists of 224 positions."""
    if curve.several and len(index) <= SIDE:
        before = (SIDE - len(index)) // 2
        yield np.pad(index, (before, SIDE - len(index) - before), constant_values=-1)
        return
    for start in range(0, len(index), SIDE):
        yield np.resize(index[start : start + SIDE], SIDE)

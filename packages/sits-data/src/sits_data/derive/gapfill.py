"""A cube without gaps."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np

from sits_data.cube import fast_codecs, open_raw
from sits_data.derive.draft import DerivedDraft, Run, deriving
from sits_data.derive.layout import Array, Derivation, Times, qa_array, reflectance_array
from sits_data.derive.observations import Observations, Place
from sits_data.derive.summary import Summary, summarise
from sits_data.gapfill import Fill, Filling, make_fill
from sits_data.mask import QA, MaskName

FILLED = Array(
    "filled",
    "uint8",
    0,
    {
        "long_name": "whether the value was filled in",
        "flag_values": [0, 1],
        "flag_meanings": "observed filled",
    },
)
_STRIP_PX = 1 << 14
"""Pixels that a thread fills at a time."""


def gapfill_cube(
    cube: str | Path,
    out: str | Path,
    *,
    settings: Filling | None = None,
    mask: MaskName = "standard",
    run: Run | None = None,
) -> Summary:
    """Write a cube whose gaps are filled, or finish one that was interrupted.

    One block after the other, all its dates in memory; threads share its dates while they are read
    and written, and its pixels while they are filled.

    Args:
        cube: a finished cube, observed or derived.
        out: the folder to make.
        settings: how; by default linear, holding the first and last clear value.
        mask: which dates are clear.
        run: threads, bar, whether to replace what is there.

    Raises:
        NotACube, IncompleteCube, DamagedCube: there is nothing to read.
        MissingArray: the mask needs what the cube lacks.
        OutputExists, OutputNotWritable: there is nowhere to write.

    Example::

        gapfill_cube("field.zarr", "filled.zarr", settings=Filling("whittaker", max_gap_days=60))
    """
    began, out, settings, run = time.perf_counter(), Path(out), settings or Filling(), run or Run()
    raw = open_raw(cube)
    seen = Observations(raw, mask)
    fill = make_fill(settings, raw.dates)
    bounds = raw.read("time_bnds") if "time_bnds" in raw.group else None
    times = Times(raw.dates, bounds, np.arange(len(raw.dates)))
    images = [reflectance_array(raw), qa_array(raw), FILLED]
    derivation = Derivation(
        raw,
        "gapfill",
        asdict(settings) | {"mask": mask},
        f"Sentinel-2 surface reflectance, gaps filled ({settings.method})",
    )
    with deriving(derivation, out, times, images, run) as draft:
        block = _Block(len(raw.dates), len(raw.bands), raw.chunk_px)
        places = draft.places
        todo = [place for place in places if not draft.is_done(place)]
        with draft.bar(len(todo), "block") as bar, ThreadPoolExecutor(run.workers) as pool:
            for place in todo:
                block.fill_one(place, seen, fill, draft, pool)
                draft.finish(place)
                bar.update()
    with fast_codecs():
        return summarise(out, units=len(places), resumed=draft.resumed, began=began)


class _Block:
    """Room for one block with all its dates; used again for the next one.

    Args:
        dates, bands: how many.
        side: of a block in pixels.
    """

    def __init__(self, dates: int, bands: int, side: int) -> None:
        self.numbers = np.empty((dates, bands, side, side), np.uint16)
        self.clear = np.empty((dates, side, side), np.bool_)
        self.filled = np.empty((dates, side, side), np.uint8)

    def fill_one(
        self,
        place: Place,
        seen: Observations,
        fill: Fill,
        draft: DerivedDraft,
        pool: ThreadPoolExecutor,
    ) -> None:
        """Read a block, fill it, write it."""
        dates, bands, side, _ = self.numbers.shape
        numbers = self.numbers.reshape(dates, bands, -1)
        clear, filled = self.clear.reshape(dates, -1), self.filled.reshape(dates, -1)

        def read(date: int) -> None:
            seen.read(date, place, numbers=self.numbers[date], clear=self.clear[date])

        def fill_strip(start: int) -> None:
            fill(numbers, clear, filled, slice(start, min(start + _STRIP_PX, side**2)))

        def write(date: int) -> None:
            known = self.numbers[date, 0] != 0
            draft.write("reflectance", date, place, self.numbers[date])
            draft.write("filled", date, place, self.filled[date])
            draft.write("qa", date, place, np.where(known, np.uint8(0), np.uint8(QA.NO_DATA)))

        for step, parts in (
            (read, range(dates)),
            (fill_strip, range(0, side**2, _STRIP_PX)),
            (write, range(dates)),
        ):
            list(pool.map(step, parts))

"""A cube of composites: one image a period."""

import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from sits_data.composite import NO_SOURCE, Compositing, compose, rank_dates
from sits_data.cube import fast_codecs, open_raw
from sits_data.derive.draft import Run, deriving
from sits_data.derive.layout import Array, Derivation, Times, qa_array, reflectance_array
from sits_data.derive.observations import Observations, Room
from sits_data.derive.summary import Summary, summarise
from sits_data.mask import QA, MaskName
from sits_data.periods import members, parse_period

COUNT = Array("count", "uint16", 0, {"long_name": "clear dates in the period", "units": "1"})
SOURCE = Array(
    "source", "int16", NO_SOURCE, {"long_name": "index along observation of the date shown, -1 = none"}
)


def composite_cube(
    cube: str | Path,
    out: str | Path,
    *,
    settings: Compositing | None = None,
    mask: MaskName = "standard",
    run: Run | None = None,
) -> Summary:
    """Write a cube of composites, or finish one that was interrupted.

    A unit is one period of one block: each chunk of the source is decoded once, and memory holds the
    dates of one period of one block a thread.

    Args:
        cube: a finished cube, observed or derived.
        out: the folder to make.
        settings: period and method; by default monthly medians.
        mask: which dates are clear.
        run: threads, bar, whether to replace what is there.

    Raises:
        NotACube, IncompleteCube, DamagedCube: there is nothing to read.
        MissingBand, MissingArray: the method or the mask needs what the cube lacks.
        OutputExists, OutputNotWritable: there is nowhere to write.

    Example::

        composite_cube("field.zarr", "monthly.zarr", settings=Compositing("P1M", "medoid"))
    """
    began, out, settings = time.perf_counter(), Path(out), settings or Compositing()
    raw = open_raw(cube)
    settings.check_bands(raw.bands)
    seen = Observations(raw, mask)
    edges = parse_period(settings.period).edges(raw.dates[0], raw.dates[-1])
    groups = members(edges, raw.dates)
    ranked = settings.method == "least-cloudy"
    rank = rank_dates(raw.clear_fraction(mask) if ranked else np.ones(len(raw.dates)))
    images = [] if settings.method == "count" else [reflectance_array(raw)]
    images += [qa_array(raw), COUNT, *([SOURCE] if settings.picks else [])]
    of_source = np.searchsorted(edges, raw.dates, side="right") - 1
    observations = raw.dates if settings.picks else None
    times = Times(edges[:-1], np.stack([edges[:-1], edges[1:]], axis=1), of_source, observations)
    derivation = Derivation(
        raw,
        "composite",
        asdict(settings) | {"mask": mask},
        f"Sentinel-2 composites of surface reflectance ({settings.method}, {settings.period})",
    )
    room = Room(max(map(len, groups)), len(raw.bands), raw.chunk_px)

    with deriving(derivation, out, times, images, run or Run()) as draft:

        def make(period: int, row: int, col: int) -> None:
            place = row, col
            used: list[int] = []
            for date in groups[period].tolist():
                k = len(used)
                if seen.read(date, place, numbers=room.numbers[k], clear=room.clear[k]):
                    used.append(date)
            done = compose(
                room.numbers[: len(used)],
                room.clear[: len(used)],
                settings.method,
                bands=raw.bands,
                rank=rank[used],
            )
            if settings.method != "count":
                draft.write("reflectance", period, place, done.numbers)
            if settings.picks:
                source = np.array([*used, NO_SOURCE], np.int16)[done.source]
                draft.write("source", period, place, source)
            draft.write("count", period, place, done.count)
            qa = np.where(done.count > 0, np.uint8(0), np.uint8(QA.NO_DATA))
            draft.write("qa", period, place, qa)

        units = [(period, *place) for period in range(len(groups)) for place in draft.places]
        draft.each(units, make, unit="block")
    with fast_codecs():
        return summarise(out, units=len(units), resumed=draft.resumed, began=began)

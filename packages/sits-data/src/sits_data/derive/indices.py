"""A cube of spectral indices: one array of float32 values an index, with the `qa` of its source."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sits_data.cube import fast_codecs, open_raw
from sits_data.derive.draft import Run, deriving
from sits_data.derive.layout import Array, Derivation, Times, qa_array
from sits_data.derive.observations import Observations, Room
from sits_data.derive.summary import Summary, summarise
from sits_data.indices import find_indices
from sits_data.mask import MaskName
from sits_data.numbers import to_reflectance


@dataclass(frozen=True)
class Indexing:
    """Which indices.

    Args:
        names: such as `NDVI`, in any case.
        constants: other values than those of spyndex, such as `{"L": 0.5}`.
    """

    names: Sequence[str]
    constants: Mapping[str, float]


def index_cube(
    cube: str | Path,
    out: str | Path,
    *,
    settings: Indexing,
    mask: MaskName | None = "standard",
    run: Run | None = None,
) -> Summary:
    """Write a cube of indices, or finish one that was interrupted.

    Args:
        cube: a finished cube, observed or derived.
        out: the folder to make.
        settings: which indices.
        mask: which dates are clear; the others are NaN. None keeps the values of clouds too.
        run: threads, bar, whether to replace what is there.

    Raises:
        NotACube, IncompleteCube, DamagedCube: there is nothing to read.
        InvalidRequest, MissingBand, MissingArray: an index or the mask needs what is not there.
        OutputExists, OutputNotWritable: there is nowhere to write.
    """
    began, out = time.perf_counter(), Path(out)
    raw = open_raw(cube)
    seen = Observations(raw, mask)
    found = find_indices(settings.names, raw.bands, settings.constants)
    images = [Array(one.name, "float32", np.nan, one.attributes) for one in found]
    bounds = raw.read("time_bnds") if "time_bnds" in raw.group else None
    derivation = Derivation(
        raw,
        "indices",
        {"indices": [one.attributes | {"name": one.name} for one in found], "mask": mask or "none"},
        f"Sentinel-2 {', '.join(one.name for one in found)}",
    )
    times = Times(raw.dates, bounds, np.arange(len(raw.dates)))
    room = Room(1, len(raw.bands), raw.chunk_px)
    with deriving(derivation, out, times, [*images, qa_array(raw)], run or Run()) as draft:

        def make(date: int, row: int, col: int) -> None:
            place = row, col
            seen.read(date, place, numbers=room.numbers[0], clear=room.clear[0])
            layers = dict(zip(raw.bands, room.numbers[0], strict=True))
            for index in found:
                values = index(*(to_reflectance(layers[band]) for band in index.bands))
                if mask is not None:
                    values = np.where(room.clear[0], values, np.float32(np.nan))
                draft.write(index.name, date, place, values)
            draft.write("qa", date, place, seen.read_qa(date, place))

        units = [(date, *place) for date in range(len(raw.dates)) for place in draft.places]
        draft.each(units, make, unit="block")
    with fast_codecs():
        return summarise(out, units=len(units), resumed=draft.resumed, began=began)

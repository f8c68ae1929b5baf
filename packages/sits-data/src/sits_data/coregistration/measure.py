"""The shift of every date of a cube: each against one date first, then against all that agree."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from sits_data.coregistration.pictures import MIN_CLEAR, Pictures, find_pictures, sharp_bands
from sits_data.coregistration.record import Shifts
from sits_data.coregistration.windows import choose_windows
from sits_data.cube import RawCube, fast_codecs
from sits_data.errors import InvalidRequest
from sits_data.mask import MaskName
from sits_data.shifts import (
    MIN_WINDOWS,
    Consensus,
    Edges,
    compose,
    find_consensus,
    match,
)
from sits_data.threads import available_cores


def measure_shifts(
    cube: RawCube,
    *,
    mask: MaskName = "standard",
    reference: date | None = None,
    threads: int | None = None,
    progress: bool = False,
) -> Shifts:
    """Measure by how much each date lies off the others. Nothing is written.

    Every date is matched with one, the *seed*: the reference, or the clearest. Those that fit are
    moved back and averaged; every date is then matched with that picture, which has the edges of
    all seasons. Memory: half a megabyte a date, whatever the area.

    Args:
        cube: a finished cube.
        mask: which pixels count as clear.
        reference: the date that lies at zero; by default zero is the median of the measured dates.
        threads: at least 1; None takes as many as there are cores.
        progress: draw a bar on stderr.

    Raises:
        InvalidRequest: the reference is no date of the cube or not clear enough, no date is, the
            cube is too small, or it has no band with edges as fine as its pixels.
        DamagedCube: a chunk cannot be read.
    """
    derived = cube.attributes.get("derived", {})
    if derived.get("method") == "gapfill":
        raise InvalidRequest(
            f"{cube.path} holds filled values, which lie where other dates do; measure "
            f"{derived['from']}, and fill what is corrected"
        )
    windows, bands = choose_windows(cube), sharp_bands(cube)
    with (
        fast_codecs(),
        ThreadPoolExecutor(threads or available_cores()) as pool,
        tqdm(total=3 * len(cube.dates), unit="date", desc="coregister", disable=not progress) as bar,
    ):

        def over_dates[T](work: Callable[[int], T]) -> list[T]:
            def one(time: int) -> T:
                result = work(time)
                bar.update()
                return result

            return list(pool.map(one, range(len(cube.dates))))

        rows = over_dates(lambda time: find_pictures(cube, time, windows, bands=bands, mask=mask))
        seed = _choose_seed(cube, rows, reference)
        first = over_dates(lambda time: _agree(rows[seed], rows[time]))
        mean = _compose(rows, first)
        found = over_dates(lambda time: _agree(mean, rows[time]))
    shift = np.array([(one.right, -one.down) for one in found])
    spread = np.array([(one.spread_right, one.spread_down) for one in found])
    day = _iso(cube, seed)
    if reference is None:
        measured = int(np.isfinite(shift[:, 0]).sum())
        zero, named = np.nanmedian(shift, axis=0), f"median position of the {measured} measured dates"
    elif np.isnan(shift[seed, 0]):
        raise InvalidRequest(
            f"the windows of the reference {day} contradict each other; choose another date with "
            "--reference, or none"
        )
    else:
        zero, named = shift[seed], day
    return Shifts(
        cube=cube.path.name,
        plan=str(cube.attributes["plan"]),
        dates=cube.dates,
        shift_m=(shift - zero) * cube.resolution_m,
        spread_m=spread * cube.resolution_m,
        windows=_counts(one.used for one in found),
        clear=_counts(sum(edges is not None for edges in row) for row in rows),
        weak=_counts(one.weak for one in found),
        flat=_counts(sum(edges is not None and edges.flat for edges in row) for row in rows),
        reference=named,
        seed=day,
        window_px=windows[0].height,
        resolution_m=cube.resolution_m,
        mask=mask,
    )


def _choose_seed(cube: RawCube, rows: Sequence[Pictures], reference: date | None) -> int:
    """The reference, or the date with most usable windows; of equals the one nearest the middle."""
    usable = np.array([sum(edges is not None and not edges.flat for edges in row) for row in rows])
    middle = (len(rows) - 1) / 2
    order = sorted(range(len(rows)), key=lambda time: (-usable[time], abs(time - middle)))
    if usable[order[0]] < MIN_WINDOWS:
        raise InvalidRequest(
            f"no date of {cube.path} has {MIN_WINDOWS} windows of {len(rows[0])} that are clear and not "
            f"flat (at best {usable[order[0]]}); use a looser --mask, or a cube with more dates"
        )
    if reference is None:
        return order[0]
    clearest = ", ".join(_iso(cube, time) for time in order[:3])
    found = np.flatnonzero(cube.dates == np.datetime64(reference, "D").astype(int))
    if not len(found):
        raise InvalidRequest(f"{cube.path} has no date {reference}; the clearest are {clearest}")
    seed = int(found[0])
    if usable[seed] < MIN_WINDOWS:
        raise InvalidRequest(
            f"the reference must have {MIN_WINDOWS} clear windows, {reference} has {usable[seed]}; the "
            f"clearest dates are {clearest}"
        )
    return seed


def _agree(reference: Pictures, moving: Pictures) -> Consensus:
    return find_consensus(
        [
            match(fixed, moved)
            for fixed, moved in zip(reference, moving, strict=True)
            if fixed and moved and not fixed.flat and not moved.flat and _overlap(fixed, moved)
        ]
    )


def _overlap(fixed: Edges, moved: Edges) -> bool:
    return bool((fixed.known & moved.known).mean() >= MIN_CLEAR)


def _compose(rows: Sequence[Pictures], found: Sequence[Consensus]) -> Pictures:
    """Each window's mean picture of the dates that were measured."""
    result: Pictures = []
    for place in range(len(rows[0])):
        edges, shifts = [], []
        for row, one in zip(rows, found, strict=True):
            picture = row[place]
            if one.measured and picture and not picture.flat:
                edges.append(picture)
                shifts.append((one.down, one.right))
        result.append(compose(edges, shifts) if edges else None)
    return result


def _counts(numbers: Iterable[int]) -> NDArray[np.int32]:
    return np.array(list(numbers), np.int32)


def _iso(cube: RawCube, time: int) -> str:
    return str(np.datetime64(int(cube.dates[time]), "D"))

"""A cube whose dates lie on each other: a new one, the source stays as it is."""

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from tqdm import tqdm

from sits_data.coregistration.record import Shifts, add_shifts, consolidate, describe_shifts
from sits_data.cube import RawCube, fast_codecs, is_cube
from sits_data.errors import InvalidRequest
from sits_data.grid import Window
from sits_data.mask import QA
from sits_data.output import new_folder
from sits_data.provenance import write_cube_item
from sits_data.shifts import REACH_PX, nearest, resample
from sits_data.threads import available_cores
from sits_data.units import UnitWriter

LEAST_PX = 0.1
"""Shifts below this are within what can be measured; such a date is copied as it is."""

_CLASSES = {"scl": 0, "qa": int(QA.NO_DATA), "scene_index": -1}
"""Arrays that are never mixed, and what they hold where the moved date has nothing."""


@dataclass(frozen=True)
class Corrected:
    """What correcting did.

    Args:
        path: the new cube.
        moved: dates that were resampled.
        kept: dates that lie within a tenth of a pixel and were copied.
        unmeasured: dates whose shift is not known, copied too.
    """

    path: Path
    moved: int
    kept: int
    unmeasured: int


def correct_cube(
    cube: RawCube,
    shifts: Shifts,
    out: Path,
    *,
    overwrite: bool = False,
    threads: int | None = None,
    progress: bool = False,
) -> Corrected:
    """Write a cube in which each date is moved back by its shift.

    Reflectance by cubic convolution over valid pixels alone, classes and bits by the nearest pixel;
    what comes from beyond the grid is no data. The new cube appears at `out` whole or not at all,
    holds the shifts and gets a STAC item; memory is bounded by the chunk.

    Args:
        cube: a finished cube.
        shifts: of this cube.
        out: the folder to make.
        overwrite: replace the cube that is there.
        threads: chunks at a time; None takes as many as there are cores.
        progress: draw a bar on stderr.

    Raises:
        InvalidRequest: the shifts are of another cube, the cube is corrected already, or `out` is it.
        OutputExists, OutputNotWritable: there is nowhere to write.
        DamagedCube: a chunk of the source cannot be read.
    """
    if "shift_corrected" in cube.group:
        raise InvalidRequest(
            f"{cube.path} is corrected already, and each correction blurs; correct the cube that it was "
            f"made from ({cube.attributes['derived']['from']})"
        )
    if shifts.plan != cube.attributes["plan"] or not np.array_equal(shifts.dates, cube.dates):
        raise InvalidRequest(
            f"the shifts are of {shifts.cube}, not of {cube.path}; measure this one with "
            "sits-data coregister"
        )
    if out.resolve() == cube.path.resolve():
        raise InvalidRequest(
            f"a cube is never corrected in place, got {out} twice; choose another --out"
        )
    move = np.array([_is_moved(shifts, time) for time in range(len(shifts.dates))])
    with new_folder(out, what="a cube", is_one=is_cube, overwrite=overwrite) as folder:
        _copy_layout(cube, shifts, move, folder)
        _run(list(_tasks(cube, shifts, move, folder)), threads or available_cores(), progress=progress)
    write_cube_item(out, made_from=cube.path)
    measured = int(shifts.measured.sum())
    return Corrected(out, int(move.sum()), measured - int(move.sum()), len(move) - measured)


def _is_moved(shifts: Shifts, time: int) -> bool:
    return bool(shifts.measured[time]) and max(map(abs, shifts.in_pixels(time))) >= LEAST_PX


def _copy_layout(cube: RawCube, shifts: Shifts, move: NDArray[np.bool_], folder: Path) -> None:
    """All of the source but its chunks of pixels, and the shifts."""
    pixels = _pixel_arrays(cube)

    def leave_out(where: str, names: list[str]) -> set[str]:
        return {"c"} & set(names) if Path(where).name in pixels else set()

    shutil.copytree(cube.path, folder, ignore=leave_out, dirs_exist_ok=True)
    group = zarr.open_group(folder, mode="r+", use_consolidated=False)
    add_shifts(group, shifts)
    group.create_array(
        "shift_corrected",
        data=move,
        dimension_names=("time",),
        attributes={"long_name": "whether the date was moved back by shift_m"},
    )
    settings = describe_shifts(shifts) | {"least_px": LEAST_PX}
    derived: dict[str, Any] = {
        "method": "coregister",
        "from": cube.path.name,
        "plan": shifts.plan,
        "settings": settings,
    }
    group.attrs.update({"derived": derived, "plan": _name_work(shifts, derived)})
    consolidate(folder)


def _name_work(shifts: Shifts, derived: dict[str, Any]) -> str:
    text = json.dumps([derived, shifts.shift_m.tolist()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _pixel_arrays(cube: RawCube) -> list[str]:
    return ["reflectance", *(name for name in _CLASSES if name in cube.group)]


def _tasks(
    cube: RawCube, shifts: Shifts, move: NDArray[np.bool_], folder: Path
) -> Iterator[Callable[[], None]]:
    """One piece of work a date that stays, and one a chunk of a date that moves."""
    (height, width), side = cube.geobox.shape, cube.chunk_px
    chunks = [
        Window(y, x, min(side, height - y), min(side, width - x))
        for y in range(0, height, side)
        for x in range(0, width, side)
    ]
    for time, moved in enumerate(move):
        if not moved:
            yield partial(_copy_date, cube, time, folder)
            continue
        shift = shifts.in_pixels(time)
        for chunk in chunks:
            yield partial(_move_chunk, cube, time, shift, chunk, folder)


def _copy_date(cube: RawCube, time: int, folder: Path) -> None:
    for name in _pixel_arrays(cube):
        source = cube.path / name / "c" / str(time)
        if source.is_dir():
            shutil.copytree(source, folder / name / "c" / str(time))


def _move_chunk(
    cube: RawCube, time: int, shift: tuple[float, float], chunk: Window, folder: Path
) -> None:
    """Read a chunk with the margin that its taps reach into, move it back and write it."""
    (height, width), writer = cube.geobox.shape, UnitWriter(folder)
    reach = [math.ceil(abs(distance)) + REACH_PX for distance in shift]
    top, left = max(0, chunk.y - reach[0]), max(0, chunk.x - reach[1])
    bottom = min(height, chunk.y + chunk.height + reach[0])
    right = min(width, chunk.x + chunk.width + reach[1])
    area = (slice(top, bottom), slice(left, right))
    inside = (
        slice(chunk.y - top, chunk.y - top + chunk.height),
        slice(chunk.x - left, chunk.x - left + chunk.width),
    )
    place = (chunk.y // cube.chunk_px, chunk.x // cube.chunk_px)
    dn = cube.read("reflectance", (time, slice(None), *area))
    layers = [_move_band(band, shift)[inside] for band in dn]
    writer.write("reflectance", (time, 0, *place), np.stack(layers)[None], fill=0)
    for name in _pixel_arrays(cube)[1:]:
        moved = nearest(cube.read(name, (time, *area)), shift, fill=_CLASSES[name])[inside]
        fill = int(cube.array(name).fill_value)
        writer.write(name, (time, *place), np.ascontiguousarray(moved)[None], fill=fill)


def _move_band(dn: NDArray[np.uint16], shift: tuple[float, float]) -> NDArray[np.uint16]:
    values, valid = resample(dn, dn > 0, shift)
    return np.where(valid, np.rint(values).clip(1, 65535), 0).astype(np.uint16)


def _run(tasks: list[Callable[[], None]], threads: int, *, progress: bool) -> None:
    """Run all tasks; the first failure stops the rest and is raised."""
    bar = tqdm(total=len(tasks), unit="chunk", desc="correct", disable=not progress)
    with bar, fast_codecs(), ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(task) for task in tasks]
        for future in futures:
            future.add_done_callback(lambda _: bar.update())
        try:
            finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in finished:
                future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

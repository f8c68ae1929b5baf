"""What a derived cube holds, counted from what was written."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr
from numpy.typing import NDArray

from sits_data.mask import QA
from sits_data.threads import available_cores

_KNOWN_BY_QA = ("reflectance", "qa", "count", "source", "filled")


@dataclass(frozen=True)
class Summary:
    """A derived cube.

    Args:
        path: the Zarr folder.
        arrays: names of its images.
        dates: how many, the first and the last as ISO days.
        pixels: values along time, y and x that the source was read for.
        empty: of these, without any value.
        filled: of these, filled in; None where nothing was.
        units, resumed: blocks, and how many of them an earlier run had finished.
        bytes: of all files.
        seconds: of this run.
    """

    path: Path
    arrays: tuple[str, ...]
    dates: tuple[int, str, str]
    pixels: int
    empty: int
    filled: int | None
    units: int
    resumed: int
    bytes: int
    seconds: float


def summarise(path: Path, *, units: int, resumed: int, began: float) -> Summary:
    """Count what lies at a path.

    Args:
        path: the derived cube.
        units: blocks of it.
        resumed: those that an earlier run had finished.
        began: its `time.perf_counter()`.
    """
    group = zarr.open_group(path, mode="r")
    images = {name: array for name, array in group.arrays() if array.ndim > 2}
    days = np.asarray(group["time"][:]).astype("M8[D]")  # type: ignore[index]
    index = next((array for name, array in images.items() if name not in _KNOWN_BY_QA), None)

    def count(date: int) -> NDArray[np.int64]:
        qa = np.asarray(images["qa"][date])
        read = (qa & QA.NOT_READ) == 0
        # The qa of indices is that of their source: it does not say which values there are.
        nothing = (qa & QA.NO_DATA) != 0 if index is None else np.isnan(np.asarray(index[date]))
        filled = np.asarray(images["filled"][date]).sum() if "filled" in images else 0
        return np.array([read.sum(), (nothing & read).sum(), filled])

    with ThreadPoolExecutor(available_cores()) as pool:
        pixels, empty, filled = sum(pool.map(count, range(len(days)))).tolist()  # type: ignore[union-attr]
    return Summary(
        path=path,
        arrays=tuple(images),
        dates=(len(days), str(days[0]), str(days[-1])),
        pixels=pixels,
        empty=empty,
        filled=filled if "filled" in images else None,
        units=units,
        resumed=resumed,
        bytes=sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        seconds=round(time.perf_counter() - began, 2),
    )

"""Shards: which rows lie in which file, and tables written to them piece by piece."""

import os
import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sits_data.manifest import shard_file


class Run(NamedTuple):
    """Rows that follow each other in one shard.

    Args:
        shard: which file.
        row: of the first one in the shard.
        part: where they are in the list that was asked about.
    """

    shard: int
    row: int
    part: slice


@dataclass(frozen=True)
class Shards:
    """How the rows of all regions are cut into files; no region is split.

    Args:
        first: (shards + 1,) first row of each shard, counted over all regions, and the end.
        of_region: (regions,) shard of each region.
    """

    first: NDArray[np.int64]
    of_region: NDArray[np.int64]

    @staticmethod
    def fill(pixels: NDArray[np.int64], *, limit: int) -> "Shards":
        """Put regions into shards of at most `limit` rows; a larger region has one to itself.

        Args:
            pixels: (regions,) rows of each region, in order.
            limit: rows of a shard.
        """
        starts = np.append(0, np.cumsum(pixels))
        cuts = [0]
        while cuts[-1] < len(pixels):
            fitting = int(np.searchsorted(starts, starts[cuts[-1]] + limit, "right")) - 1
            cuts.append(max(cuts[-1] + 1, fitting))
        return Shards(starts[cuts], np.repeat(np.arange(len(cuts) - 1), np.diff(cuts)))

    def __len__(self) -> int:
        return len(self.first) - 1

    def rows(self, shard: int) -> slice:
        """The rows of a shard, counted over all regions."""
        return slice(int(self.first[shard]), int(self.first[shard + 1]))

    def runs(self, rows: NDArray[np.integer[Any]], *, longest: int) -> list[Run]:
        """Cut ascending rows, counted over all regions, where they skip one or enter a shard."""
        breaks = np.flatnonzero(np.diff(rows) != 1) + 1
        edges = np.searchsorted(rows, self.first)
        regular = np.arange(0, len(rows), longest)
        cuts = np.unique(np.concatenate([breaks, edges, regular, [0, len(rows)]]))
        starts = rows[cuts[:-1]]
        shards = np.searchsorted(self.first, starts, "right") - 1
        return [
            Run(shard, row, slice(start, stop))
            for shard, row, start, stop in zip(
                shards.tolist(),
                (starts - self.first[shards]).tolist(),
                cuts[:-1].tolist(),
                cuts[1:].tolist(),
                strict=True,
            )
        ]


@dataclass(frozen=True)
class Table:
    """A table with one row a pixel, in as many `.npy` files as there are shards.

    Written, not mapped: a map kills the process when the disk is full.

    Args:
        folder: the store.
        kind: such as `pixels`.
        columns: numbers in a row, whatever its shape.
        dtype: of a number.
        headers: what comes before the first row, by shard.
    """

    folder: Path
    kind: str
    columns: int
    dtype: np.dtype[Any]
    headers: tuple[bytes, ...]

    @staticmethod
    def of(
        folder: Path, kind: str, shards: Shards, *, row_shape: tuple[int, ...], dtype: DTypeLike
    ) -> "Table":
        """The table of some shards; its files are there, or are made by `create`."""
        dtype = np.dtype(dtype)
        shapes = [(rows, *row_shape) for rows in np.diff(shards.first).tolist()]
        headers = tuple(_header(shape, dtype) for shape in shapes)
        return Table(folder, kind, int(np.prod(row_shape)), dtype, headers)

    def create(self, shards: Shards) -> None:
        """Create the files, empty at their full length."""
        row_bytes = self.columns * self.dtype.itemsize
        for shard, rows in enumerate(np.diff(shards.first).tolist()):
            with (self.folder / shard_file(self.kind, shard)).open("wb") as file:
                file.write(self.headers[shard])
                _reserve(file, len(self.headers[shard]) + rows * row_bytes)

    def write(self, run: Run, rows: NDArray[Any]) -> None:
        """Write a run of rows, (run, columns); different runs may be written at the same time."""
        assert rows.dtype == self.dtype
        assert rows.shape[1] == self.columns
        offset = len(self.headers[run.shard]) + run.row * self.columns * self.dtype.itemsize
        with (self.folder / shard_file(self.kind, run.shard)).open("r+b") as file:
            file.seek(offset)
            file.write(rows.data)


def write_npy(path: Path, values: NDArray[Any]) -> None:
    """Write an array, as `np.save` does, whose errors do not say that the disk is full."""
    with path.open("wb") as file:
        file.write(_header(values.shape, values.dtype))
        file.write(np.ascontiguousarray(values).data)


def _reserve(file: BinaryIO, size: int) -> None:
    """Give a file its length; on Linux its room on the disk too, which makes writing cheaper."""
    file.flush()
    if sys.platform == "linux":
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)


def _header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    file = BytesIO()
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call]
    return file.getvalue()

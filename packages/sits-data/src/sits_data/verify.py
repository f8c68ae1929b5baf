"""Whether a cube on disk is what was written: every chunk against its size and checksum."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Literal

import zarr

from sits_data.cube import RawCube, fast_codecs, open_raw
from sits_data.errors import DamagedCube
from sits_data.ledger import Row, Written, open_ledger, read_ledger, state_folder
from sits_data.output import writing_to
from sits_data.provenance import combine, folder_digests, item_file, kept_checksum, multihash
from sits_data.threads import available_cores
from sits_data.units import chunk_file, chunk_of

ComparedWith = Literal["checksums of its chunks", "the checksum of its item", "nothing, only decoded"]


@dataclass(frozen=True)
class CubeCheck:
    """What was found in a cube.

    Args:
        path: the cube.
        files: chunks that were looked at.
        damaged: what is wrong with each that is damaged or missing.
        compared_with: what was kept of them.
        mended: units noted as damaged, which the same build-cube reads again.
    """

    path: Path
    files: int
    damaged: tuple[str, ...]
    compared_with: ComparedWith
    mended: int


def verify_cube(path: str | Path, *, mend: bool = False) -> CubeCheck:
    """Compare every chunk of a cube, finished or not, with what its ledger says was written.

    A cube without a ledger (a composite, or one whose state folder was lost) has its chunks decoded, and
    is held against the checksum of all its files in its STAC item.

    Args:
        path: the Zarr folder.
        mend: note damaged units in the ledger, so that the same build-cube reads them again.

    Raises:
        NotACube: no cube is there.
        DamagedCube: its coordinates cannot be read.
        OutputExists: `mend`, and another process is building the cube.
    """
    cube = open_raw(path, allow_incomplete=True, allow_values=True)
    for name in ("time", "band", "x", "y", "scene", "scene_time_index"):
        if name in cube.group:
            cube.read(name)
    state = state_folder(cube.path)
    rows = [row for row in read_ledger(state / "ledger.jsonl").values() if row.files]
    with ThreadPoolExecutor(available_cores()) as pool:
        if not rows:
            found = list(pool.map(lambda chunk: _decode(cube, *chunk), _chunks(cube)))
            kept = kept_checksum(cube.path)
            if kept and not any(found) and multihash(combine(folder_digests(cube.path))) != kept:
                found.append(f"its files are not those of {item_file(cube.path).name}")
            compared: ComparedWith = "the checksum of its item" if kept else "nothing, only decoded"
            return CubeCheck(cube.path, len(found), tuple(filter(None, found)), compared, 0)
        wrong = list(pool.map(lambda row: _compare(cube.path, row), rows))
    damaged = [row for row, errors in zip(rows, wrong, strict=True) if errors]
    if mend and damaged:
        with writing_to(cube.path), open_ledger(state / "ledger.jsonl") as ledger:
            for row in damaged:
                ledger.record(replace(row, state="damaged"))
    return CubeCheck(
        path=cube.path,
        files=sum(len(row.files) for row in rows),
        damaged=tuple(error for errors in wrong for error in errors),
        compared_with="checksums of its chunks",
        mended=len(damaged) if mend else 0,
    )


def _compare(cube: Path, row: Row) -> list[str]:
    """What is wrong with the chunks of a unit."""
    errors = []
    for name, written in row.files.items():
        file = chunk_file(cube, name, chunk_of(name, row.unit))
        try:
            data = file.read_bytes()
        except OSError as error:
            errors.append(f"{file.relative_to(cube)} cannot be read ({error.strerror})")
            continue
        if Written.of(data) != written:
            errors.append(f"{file.relative_to(cube)} differs from what was written")
    return errors


def _chunks(cube: RawCube) -> Iterator[tuple[str, tuple[slice, ...]]]:
    """Name and place of every chunk of the arrays with dates and pixels."""
    for name, array in cube.group.members():
        if isinstance(array, zarr.Array) and array.ndim > 2:
            steps: Sequence[range] = [
                range(0, size, chunk) for size, chunk in zip(array.shape, array.chunks, strict=True)
            ]
            for corner in product(*steps):
                sides = zip(corner, array.chunks, strict=True)
                yield name, tuple(slice(start, start + chunk) for start, chunk in sides)


def _decode(cube: RawCube, name: str, place: tuple[slice, ...]) -> str | None:
    """What is wrong with a chunk that is there."""
    try:
        with fast_codecs():
            cube.read(name, place)
    except DamagedCube as error:
        return str(error)
    return None

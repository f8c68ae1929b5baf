"""The quality bits of a finished cube, made anew: other detectors, other distances.

Units (one day of one block) are worked out on threads and written into a folder beside the cube, while
the cube stays as it is; when all are there, that folder takes the place of the old chunks. An
interrupted run goes on where it stopped. Between the two renames the cube says so, and is not opened.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Never

from tqdm import tqdm

from sits_data.cube import NOT_READ, RawCube, fast_codecs, open_raw
from sits_data.detectors import SCL, CloudDetector, Target, make_detector
from sits_data.errors import InvalidRequest
from sits_data.ledger import Unit
from sits_data.mask import QaSettings
from sits_data.output import writing_to
from sits_data.provenance import write_cube_item
from sits_data.remask.staging import (
    alone,
    finish_swap,
    is_staged,
    qa_file,
    stage,
    swap,
)
from sits_data.remask.unit import Eyes, days_of, others
from sits_data.threads import available_cores
from sits_data.units import UnitWriter

__all__ = ["RemaskResult", "remask"]


@dataclass(frozen=True)
class RemaskResult:
    """What was done.

    Args:
        path: the cube.
        settings: what its `qa` follows now.
        units: how many were looked at, of which `resumed` by an earlier run.
        resumed: see `units`.
        seconds: of this run.
    """

    path: Path
    settings: QaSettings
    units: int
    resumed: int
    seconds: float


def remask(
    path: str | Path,
    settings: QaSettings,
    *,
    threads: int | None = None,
    progress: bool = False,
) -> RemaskResult:
    """Make `qa` anew from a cube's own pixels; reflectance and `scl` are not touched.

    What failed to be read, or was not read by choice, stays marked so. The settings that a cube was
    built with give the same bytes again, except within their reach of its outer edge: building saw
    what lies beyond, and the cube did not keep it.

    Args:
        path: a finished cube.
        settings: detectors and distances.
        threads: at least 1; None takes as many as there are cores.
        progress: draw a bar on stderr.

    Raises:
        NotACube, IncompleteCube: there is nothing to work on.
        UnknownDetector, DetectorUnavailable, MissingBand, InvalidRequest: a detector cannot be used.
        OutputExists: another process is at work on this cube.
        OutputNotWritable: no permission, or the disk is full; start the same again.
    """
    began, path = time.monotonic(), Path(path)
    with alone(path) as ledger:
        with writing_to(path):
            finish_swap(path, ledger)
        raw = open_raw(path)
        eyes = Eyes(raw, settings, _make(raw, settings))
        with writing_to(path):
            staging = stage(raw, settings)
        units = list(_units(raw))
        todo = [unit for unit in units if not is_staged(raw.path, unit)]
        done = len(units) - len(todo)
        bar = tqdm(total=len(units), initial=done, unit="unit", desc="mask", disable=not progress)
        _run(eyes, UnitWriter(staging), todo, bar, threads=threads or available_cores())
        with writing_to(path):
            swap(path, settings, ledger)
        write_cube_item(path)
    seconds = time.monotonic() - began
    return RemaskResult(path, settings, len(units), done, seconds)


def _make(raw: RawCube, settings: QaSettings) -> tuple[CloudDetector, ...]:
    if not settings.detectors or len(set(settings.detectors)) < len(settings.detectors):
        named = ", ".join(settings.detectors) or "none"
        raise InvalidRequest(f"name at least one detector, each once, such as {SCL}; got {named}")
    target = Target(raw.geobox, raw.bands, days_of(raw))
    return tuple(make_detector(name, target) for name in others(settings))


def _units(raw: RawCube) -> Iterator[Unit]:
    """Units that have a chunk; what was never written stays so."""
    height, width = raw.geobox.shape
    for index in range(len(raw.dates)):
        for row in range(-(-height // raw.chunk_px)):
            for col in range(-(-width // raw.chunk_px)):
                unit = Unit(index, row, col)
                if qa_file(raw.path, unit).is_file():
                    yield unit


def _run(
    eyes: Eyes, writer: UnitWriter, todo: Sequence[Unit], bar: "tqdm[Never]", *, threads: int
) -> None:
    def run(unit: Unit) -> None:
        qa = eyes.look(unit)
        with writing_to(eyes.raw.path):
            writer.write("qa", unit, qa[None], fill=NOT_READ)
        bar.update()

    with fast_codecs(), bar, ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(run, unit) for unit in todo]
        try:
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

"""A derived cube while it is written: block by block, on threads, whole at the end or not at all."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from tqdm import tqdm

from sits_data.cube import RawCube
from sits_data.derive.layout import Array, Derivation, Times, create_derived, is_derived
from sits_data.derive.observations import Place
from sits_data.drafts import Draft, drafting
from sits_data.errors import InvalidRequest
from sits_data.provenance import write_cube_item
from sits_data.threads import available_cores
from sits_data.units import UnitWriter


@dataclass(frozen=True)
class Run:
    """How a derived cube is written.

    Args:
        threads: at least 1; None takes as many as there are cores.
        overwrite: replace a derived cube that is there; one that was observed is never replaced.
        progress: draw a bar on stderr.
    """

    threads: int | None = None
    overwrite: bool = False
    progress: bool = False

    @property
    def workers(self) -> int:
        """Threads to start."""
        return self.threads or available_cores()


@dataclass(frozen=True)
class DerivedDraft:
    """A derived cube as far as it is written.

    Args:
        raw: its source.
        arrays: by name.
        draft: the folder and its log.
        run: threads and bar.
        resumed: units that an earlier run had finished.
    """

    raw: RawCube
    arrays: dict[str, Array]
    draft: Draft
    run: Run
    resumed: int

    @property
    def places(self) -> list[Place]:
        """Blocks of the grid that the source was read for, row by row."""
        side, (height, width) = self.raw.chunk_px, self.raw.geobox.shape
        every = [(row, col) for row in range(-(-height // side)) for col in range(-(-width // side))]
        chosen = self.raw.attributes.get("blocks")
        return every if chosen is None else [place for place in every if list(place) in chosen]

    def write(self, name: str, time: int, place: Place, values: NDArray[Any]) -> None:
        """Write one chunk of an array: (…, side, side), of which what lies on the grid is kept."""
        side, (height, width), array = self.raw.chunk_px, self.raw.geobox.shape, self.arrays[name]
        rows, cols = (
            slice(0, extent - side * at) for extent, at in zip((height, width), place, strict=True)
        )
        index = (time, 0, *place) if array.banded else (time, *place)
        UnitWriter(self.draft.folder).write(name, index, values[None, ..., rows, cols], array.fill)

    def each(self, units: Iterable[tuple[int, ...]], work: Callable[..., None], *, unit: str) -> None:
        """Call `work(*unit)` on threads for each unit that is not done; the first failure stops all.

        Args:
            units: numbers that name a piece of work.
            work: writes it.
            unit: what the bar counts.
        """
        todo = [one for one in units if self._name(one) not in self.draft.done]

        def run(one: tuple[int, ...]) -> None:
            work(*one)
            self.draft.finish(self._name(one))
            bar.update()

        with self.bar(len(todo), unit) as bar, ThreadPoolExecutor(self.run.workers) as pool:
            futures = [pool.submit(run, one) for one in todo]
            try:
                finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in finished:
                    future.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def is_done(self, place: Place) -> bool:
        """Whether a block was finished, before this run or in it."""
        return self._name(place) in self.draft.done

    def finish(self, place: Place) -> None:
        """Note that a block is finished."""
        self.draft.finish(self._name(place))

    def bar(self, todo: int, unit: str) -> "tqdm[Any]":
        """A progress bar that counts what an earlier run did, too."""
        return tqdm(
            total=todo + self.resumed, initial=self.resumed, unit=unit, desc="derive",
            disable=not self.run.progress,
        )  # fmt: skip

    @staticmethod
    def _name(unit: Sequence[int]) -> str:
        return " ".join(map(str, unit))


@contextmanager
def deriving(
    derivation: Derivation, out: Path, times: Times, arrays: Sequence[Array], run: Run
) -> Iterator[DerivedDraft]:
    """Write a derived cube; it appears at `out` when the block ends well.

    If not, what was finished is kept beside it, hidden, and the same work continues there.

    Raises:
        InvalidRequest: `out` is the source itself.
        OutputExists: `out` exists and may not be replaced, or another process is writing it.
        OutputNotWritable: no permission, or the disk is full.
    """
    if out.resolve() == derivation.raw.path.resolve():
        raise InvalidRequest(f"{out} is the source itself, which is never changed; choose another --out")
    with drafting(
        out, derivation.work, what="a derived cube", is_one=is_derived, overwrite=run.overwrite
    ) as draft:
        if not draft.done:
            create_derived(draft.folder, derivation, times, arrays)
        yield DerivedDraft(
            derivation.raw, {one.name: one for one in arrays}, draft, run, len(draft.done)
        )
    write_cube_item(out, made_from=derivation.raw.path)

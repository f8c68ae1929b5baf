"""Which regions share a batch: one store and one period at a time, in an order that can be resumed.

A contrastive loss tells samples of a batch apart. If they came from different years or sites it
would learn the weather or the sensor's orbit instead of the crops.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sits_data.errors import InvalidRequest

Window = tuple[int, int]
"""First day and stop, counted from 1970-01-01."""

_LEAST = 2


@dataclass(frozen=True, eq=False)
class Group:
    """Samples that may share a batch.

    Args:
        store: number of their table.
        window: the days that they show; None for all.
        items: (N,) int64 numbers of the samples: positions of regions, or of pixels.
        shard: (N,) int64 file that each lies in, where no more than `buffer` of them shall be read at
            a time; None shuffles all.
        buffer: how many files.
    """

    store: int
    window: Window | None
    items: NDArray[np.int64]
    shard: NDArray[np.int64] | None = None
    buffer: int = 1


class BatchKey(NamedTuple):
    """One batch: everything that decides what is in it.

    Args:
        store: number of its table.
        window: days; None for all.
        items: (B,) int64 numbers of the samples.
        epoch: whose draws are meant; -1 is evaluation.
    """

    store: int
    window: Window | None
    items: NDArray[np.int64]
    epoch: int


def calendar_years(dates: NDArray[np.integer[Any]], *, min_dates: int = 8) -> list[Window]:
    """The calendar years (UTC) of a series that have enough dates; all of its years where none has.

    Args:
        dates: (T,) days since 1970-01-01, ascending.
        min_dates: that a year must have.

    >>> calendar_years(np.array([0, 100, 200, 365, 400]), min_dates=3)
    [(0, 365)]
    """
    year_of = np.asarray(dates, "datetime64[D]").astype("datetime64[Y]")
    years, count = np.unique(year_of, return_counts=True)
    enough = years[count >= min_dates]
    windows = [(_first_day(year), _first_day(year + 1)) for year in enough]
    return windows or [(_first_day(years[0]), _first_day(years[-1] + 1))]


def _first_day(year: np.datetime64) -> int:
    return int(year.astype("datetime64[D]").astype(np.int64))


class StoreYearSampler:
    """Batches of one group each; all that an epoch shows follows from the seed and its number.

    Shuffled, an epoch shows each sample once, but for what does not fill a batch: that is left out
    (`drop_last`), others each time, or makes a smaller batch. A group smaller than a batch makes one
    smaller batch, and a single sample none, for there is nothing to tell it apart from. Of a group
    that names its files, some files are shuffled at a time, and its batches follow each other.

    Several processes get equal parts of each batch, so that they step together and gathered
    negatives come from one store and period too.

    Args:
        groups: at least one.
        batch_size: samples of one process.
        seed: of the run.
        rank, world_size: which of how many processes this is.
        shuffle: False is evaluation: every sample once, in the order given, under epoch -1.
        drop_last: leave out what does not fill a batch.

    Raises:
        InvalidRequest: the batch size is below 1, or there is nothing to make a batch of.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        *,
        batch_size: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        shuffle: bool = True,
        drop_last: bool = True,
    ) -> None:
        if batch_size < 1:
            raise InvalidRequest(f"the batch size must be at least 1, got {batch_size}")
        self.groups, self.batch_size, self.seed = list(groups), batch_size, seed
        self.rank, self.world_size = rank, world_size
        self.shuffle, self.drop_last = shuffle, drop_last
        self.epoch = 0
        if not len(self):
            raise InvalidRequest(
                f"at least {self._least} samples of one store and period are needed for a batch, got "
                f"{max((len(group.items) for group in self.groups), default=0)}; give more regions"
            )

    def set_epoch(self, epoch: int) -> None:
        """Choose what the next iteration shows; Lightning calls it before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches of an epoch, the same in every process."""
        return sum(len(self._cuts(len(group.items))) for group in self.groups)

    def __iter__(self) -> Iterator[BatchKey]:
        draws = np.random.default_rng([self.seed % 2**32, self.epoch])
        batches = [
            (group, part) for group in self.groups for part in self._parts(self._ordered(group, draws))
        ]
        epoch = self.epoch if self.shuffle else -1
        for number in self._sequence([group for group, _ in batches], draws):
            group, items = batches[number]
            mine = np.array_split(items, self.world_size)[self.rank]
            # In evaluation a last batch may be too small to share: processes then repeat a sample.
            yield BatchKey(group.store, group.window, mine if len(mine) else items[:1], epoch)

    @property
    def _least(self) -> int:
        """Samples of the smallest batch, all processes together."""
        return self.world_size * (min(_LEAST, self.batch_size) if self.shuffle else 1)

    def _ordered(self, group: Group, draws: np.random.Generator) -> NDArray[np.int64]:
        if not self.shuffle:
            return group.items
        if group.shard is None:
            return draws.permutation(group.items)
        shards = draws.permutation(np.unique(group.shard))
        buffers = [shards[i : i + group.buffer] for i in range(0, len(shards), group.buffer)]
        inside = (group.items[np.isin(group.shard, buffer)] for buffer in buffers)
        return np.concatenate([draws.permutation(items) for items in inside])

    def _sequence(self, groups: list[Group], draws: np.random.Generator) -> Sequence[int]:
        """Batches in the order in which they are shown: those that share files stay together."""
        if not self.shuffle:
            return range(len(groups))
        mixed: list[int] = draws.permutation(len(groups)).tolist()
        if all(group.shard is None for group in groups):
            return mixed
        # Groups in the order in which the mixture first names them, each in its own order.
        rank = {id(groups[number]): place for place, number in reversed(list(enumerate(mixed)))}
        return sorted(range(len(groups)), key=lambda number: rank[id(groups[number])])

    def _parts(self, items: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return [items[start:stop] for start, stop in self._cuts(len(items))]

    def _cuts(self, size: int) -> list[Window]:
        """Where the samples of a group are cut into batches of all processes together."""
        full = self.batch_size * self.world_size
        cuts = [(start, start + full) for start in range(0, size - full + 1, full)]
        rest = size % full
        if self.shuffle:
            # Equal parts: a process with fewer samples would wait in vain for the others' gradients.
            rest -= rest % self.world_size
            if rest < self._least or (self.drop_last and cuts):
                return cuts
        return [*cuts, (size - size % full, size - size % full + rest)] if rest else cuts

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sits_data.errors import InvalidRequest
from sits_models.data.sampler import BatchKey, Group, StoreYearSampler, calendar_years


def group(size: int, *, store: int = 0, window: tuple[int, int] = (0, 9), first: int = 0) -> Group:
    return Group(store, window, np.arange(first, first + size))


def shown(keys: list[BatchKey]) -> list[list[int]]:
    return [key.items.tolist() for key in keys]


def test_calendar_years_worked_by_hand() -> None:
    days = np.array(["2018-12-01", "2019-01-01", "2019-06-30", "2019-12-31", "2020-01-01"])
    dates = days.astype("datetime64[D]").astype(np.int32)
    first = [int(np.datetime64(f"{year}-01-01", "D").astype(int)) for year in (2018, 2019, 2020, 2021)]
    assert calendar_years(dates, min_dates=3) == [(first[1], first[2])]
    assert calendar_years(dates, min_dates=1) == list(itertools.pairwise(first))
    assert calendar_years(dates, min_dates=4) == [(first[0], first[3])]  # no year has four: all


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    batch_size=st.integers(2, 8),
    world_size=st.integers(1, 3),
    drop_last=st.booleans(),
    epoch=st.integers(0, 5),
)
def test_batches_are_of_one_group_and_show_no_sample_twice(
    sizes: list[int], batch_size: int, world_size: int, drop_last: bool, epoch: int
) -> None:
    groups = [group(size, store=number, window=(number, 99)) for number, size in enumerate(sizes)]
    settings: dict[str, Any] = {
        "batch_size": batch_size,
        "world_size": world_size,
        "drop_last": drop_last,
    }
    if max(sizes) < 2 * world_size:
        with pytest.raises(InvalidRequest, match="samples of one store and period are needed"):
            StoreYearSampler(groups, **settings)
        return
    ranks = []
    for rank in range(world_size):
        sampler = StoreYearSampler(groups, rank=rank, **settings)
        sampler.set_epoch(epoch)
        ranks.append(list(sampler))
        assert len(ranks[-1]) == len(sampler)
    seen = []
    for keys in zip(*ranks, strict=True):
        assert len({(key.store, key.window, len(key.items), key.epoch) for key in keys}) == 1
        assert keys[0].window == (keys[0].store, 99)
        assert 2 <= len(keys[0].items) <= batch_size
        seen += [(key.store, item) for key in keys for item in key.items.tolist()]
    assert len(seen) == len(set(seen))
    for number, size in enumerate(sizes):
        missing = size - sum(store == number for store, _ in seen)
        if not drop_last:
            assert missing < 2 * world_size
        assert missing < max(batch_size, 2) * world_size


def test_epoch_and_seed_name_the_order() -> None:
    def batches(seed: int, epoch: int) -> list[list[int]]:
        sampler = StoreYearSampler([group(40)], batch_size=4, seed=seed)
        sampler.set_epoch(epoch)
        return shown(list(sampler))

    assert batches(1, 0) == batches(1, 0)
    assert batches(1, 0) != batches(1, 1)
    assert batches(1, 0) != batches(2, 0)
    assert sorted(item for batch in batches(1, 0) for item in batch) == list(range(40))


def test_small_groups_give_one_smaller_batch_and_single_samples_none() -> None:
    groups = [group(3), group(1, store=1), group(9, store=2)]
    keys = list(StoreYearSampler(groups, batch_size=4))
    assert sorted((key.store, len(key.items)) for key in keys) == [(0, 3), (2, 4), (2, 4)]


def test_evaluation_shows_all_in_order() -> None:
    groups = [group(5), group(1, store=1)]
    keys = list(StoreYearSampler(groups, batch_size=2, shuffle=False))
    assert shown(keys) == [[0, 1], [2, 3], [4], [0]]
    assert {key.epoch for key in keys} == {-1}


def test_evaluation_on_two_processes_has_equal_lengths() -> None:
    parts = [
        shown(list(StoreYearSampler([group(5)], batch_size=2, shuffle=False, rank=rank, world_size=2)))
        for rank in range(2)
    ]
    assert parts == [[[0, 1], [4]], [[2, 3], [4]]]


@pytest.mark.parametrize(
    ("groups", "batch_size", "message"),
    [
        ([group(8)], 0, "the batch size must be at least 1, got 0"),
        ([group(1)], 4, "at least 2 samples of one store and period are needed for a batch, got 1"),
        ([], 4, "are needed for a batch, got 0"),
    ],
)
def test_nothing_to_make_batches_of(groups: list[Group], batch_size: int, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        StoreYearSampler(groups, batch_size=batch_size)


def test_files_are_shuffled_some_at_a_time() -> None:
    items, shard = np.arange(60), np.arange(60) // 10
    one = Group(0, None, items, shard, buffer=2)
    other = Group(0, (0, 365), items, shard, buffer=2)
    sampler = StoreYearSampler([one, other], batch_size=4, seed=3)
    keys = list(sampler)
    orders = []
    for window in (None, (0, 365)):
        given = np.concatenate([key.items for key in keys if key.window == window])
        assert sorted(given.tolist()) == items.tolist()
        read = shard[given]
        # Every twenty samples come from two files, and are mixed.
        for start in range(0, 60, 20):
            part = read[start : start + 20]
            assert len(set(part.tolist())) == 2
            assert len(set(part[:8].tolist())) == 2
        orders.append(given.tolist())
    assert orders[0] != orders[1]
    windows = [key.window for key in keys]
    assert len(list(itertools.groupby(windows))) == 2  # groups after each other
    again = StoreYearSampler([one, other], batch_size=4, seed=3)
    assert shown(list(again)) == shown(keys)
    again.set_epoch(1)
    assert shown(list(again)) != shown(keys)

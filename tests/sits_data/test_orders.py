import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sits_data.orders import (
    ORDERS,
    WalkKey,
    golden_stride,
    neighbours,
    order,
    random_walks,
    rank_table,
    slice_through,
)

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)).filter(np.any)
L_SHAPE = np.array([[5, 7], [6, 7], [7, 7], [7, 8], [7, 9]], np.int32)


def _rows(mask):
    return np.argwhere(mask).astype(np.int32)


def _steps(table):
    """Absolute steps along y and x of a curve over a whole rectangle."""
    y, x = np.divmod(np.argsort(table, axis=None), table.shape[1])
    return abs(np.diff(y)), abs(np.diff(x))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("raster", [[0, 1, 2], [3, 4, 5], [6, 7, 8]]),
        ("snake", [[0, 1, 2], [5, 4, 3], [6, 7, 8]]),
        ("spiral", [[6, 7, 8], [5, 0, 1], [4, 3, 2]]),
    ],
)
def test_rank_table_by_hand(name, expected):
    assert rank_table(name, 3, 3).tolist() == expected


def test_hilbert_is_the_classic_curve_on_a_square_of_side_four():
    expected = [[0, 1, 14, 15], [3, 2, 13, 12], [4, 7, 8, 11], [5, 6, 9, 10]]
    assert rank_table("hilbert", 4, 4).tolist() == expected


@pytest.mark.parametrize("name", ORDERS)
@given(mask=MASKS)
def test_order_is_a_bijection_on_any_region(name, mask):
    yx = _rows(mask)
    assert sorted(order(name, yx).tolist()) == list(range(len(yx)))


@pytest.mark.parametrize("name", ORDERS)
@given(mask=MASKS, shift=st.tuples(st.integers(0, 5000), st.integers(0, 5000)))
def test_order_follows_the_curve_of_the_bounding_box_wherever_it_lies(name, mask, shift):
    yx = _rows(mask)
    local = yx - yx.min(axis=0)
    ranks = rank_table(name, *(local.max(axis=0) + 1).tolist())
    along = local[order(name, yx + np.array(shift, np.int32))]
    assert (np.diff(ranks[along[:, 0], along[:, 1]]) > 0).all()


@given(height=st.integers(1, 90), width=st.integers(1, 90))
def test_hilbert_takes_at_most_one_diagonal_step_on_any_rectangle(height, width):
    dy, dx = _steps(rank_table("hilbert", height, width))
    assert (np.maximum(dy, dx) == 1).all()
    long, short = max(height, width), min(height, width)
    forced = long % 2 == 1 and short % 2 == 0 and 2 * short < long
    assert (dy + dx == 2).sum() == int(forced)


@given(height=st.integers(1, 40), width=st.integers(1, 40))
def test_snake_steps_to_a_4_neighbour(height, width):
    dy, dx = _steps(rank_table("snake", height, width))
    assert (dy + dx == 1).all()


@given(side=st.integers(1, 40))
def test_spiral_on_a_square_starts_in_the_middle_and_steps_to_a_4_neighbour(side):
    table = rank_table("spiral", side, side)
    assert table[(side - 1) // 2, (side - 1) // 2] == 0
    dy, dx = _steps(table)
    assert (dy + dx == 1).all()


def test_hilbert_keeps_columns_closer_than_snake():
    def distance(name):
        y, x = np.divmod(np.argsort(rank_table(name, 32, 32), axis=None), 32)
        return np.hypot(y[8:] - y[:-8], x[8:] - x[:-8]).mean()

    assert distance("hilbert") < 0.75 * distance("snake")


def test_rank_table_is_read_only_but_an_order_is_the_callers():
    with pytest.raises(ValueError, match="read-only"):
        rank_table("snake", 3, 3)[0, 0] = 1
    order("snake", _rows(np.ones((3, 3), bool)))[0] = 5
    assert order("snake", _rows(np.ones((3, 3), bool)))[0] == 0


def test_neighbours_of_an_l_shape():
    near = neighbours(L_SHAPE)
    assert near.degree.tolist() == [1, 3, 2, 3, 1]
    assert near.rows[0].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert sorted(near.rows[1, :3].tolist()) == [0, 2, 3]


@given(masks=st.lists(MASKS, min_size=1, max_size=4))
def test_neighbours_of_many_regions_are_those_of_each(masks):
    each = [_rows(mask) for mask in masks]
    sizes = [len(yx) for yx in each]
    together = neighbours(np.concatenate(each), np.repeat(np.arange(len(each)), sizes))
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)[:, None]
    alone = [neighbours(yx) for yx in each]
    assert (together.rows - first == np.concatenate([near.rows for near in alone])).all()
    assert (together.degree == np.concatenate([near.degree for near in alone])).all()


@given(st.integers(1, 5000))
def test_golden_stride_comes_to_every_number(size):
    assert len(set((np.arange(size) * golden_stride(size) % size).tolist())) == size


@given(mask=MASKS, count=st.integers(1, 30), length=st.integers(1, 20), region=st.integers(0, 99))
def test_walks_step_between_neighbours_of_the_region(mask, count, length, region):
    yx = _rows(mask)
    near = neighbours(yx)
    walks = random_walks(near, count=count, length=length, key=WalkKey(1, region, -1, 0))
    assert walks.shape == (count, length)
    steps = abs(np.diff(yx[walks], axis=1)).max(axis=2)
    alone = (near.rows[:, 0] == np.arange(len(yx)))[walks[:, :-1]]
    assert (steps == np.where(alone, 0, 1)).all()


def test_walks_start_once_at_every_pixel_before_twice_at_any():
    near = neighbours(L_SHAPE)
    starts = random_walks(near, count=12, length=3, key=WalkKey(0, 0, 0, 0))[:, 0]
    assert sorted(np.bincount(starts).tolist()) == [2, 2, 2, 3, 3]


def test_walks_choose_each_neighbour_as_often():
    near = neighbours(_rows(np.ones((3, 3), bool)))
    walks = random_walks(near, count=9000, length=2, key=WalkKey(0, 0, 0, 0))
    second = np.bincount(walks[walks[:, 0] == 4, 1], minlength=9)
    assert second[4] == 0
    assert abs(np.delete(second, 4) - 125).max() < 45


def test_walks_depend_on_every_part_of_their_key_and_on_nothing_else():
    near = neighbours(_rows(np.ones((6, 6), bool)))
    base = WalkKey(run=1, region=2, epoch=3, view=4)
    keys = [base, *(base._replace(**{name: 9}) for name in base._fields)]
    draws = [random_walks(near, count=8, length=16, key=key).tobytes() for key in keys]
    assert len(set(draws)) == len(keys)
    assert random_walks(near, count=8, length=16, key=base).tobytes() == draws[0]


@pytest.mark.parametrize(
    ("row", "axis", "expected"),
    [(1, "y", [0, 1, 2]), (2, "x", [2, 3, 4]), (0, "x", [0]), (4, "y", [4])],
)
def test_slice_is_the_run_through_a_pixel(row, axis, expected):
    assert slice_through(L_SHAPE, row, axis=axis).tolist() == expected


def test_slice_stops_where_the_region_does():
    yx = np.array([[0, 0], [0, 1], [0, 3], [0, 4], [0, 5]], np.int32)
    assert slice_through(yx, 1, axis="x").tolist() == [0, 1]
    assert slice_through(yx, 3, axis="x").tolist() == [2, 3, 4]

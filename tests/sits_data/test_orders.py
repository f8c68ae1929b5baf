import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.draw import polygon2mask
from skimage.morphology import disk

from sits_data.errors import InvalidRequest
from sits_data.orders import (
    DIHEDRALS,
    ORDERS,
    WalkKey,
    WalkLaw,
    golden_stride,
    neighbours,
    order,
    parse_order,
    permutation,
    random_walks,
    rank_table,
    runs,
    slice_through,
    spectral,
    walk_count,
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
    assert slice_through(L_SHAPE, row, axis).tolist() == expected


def test_slice_stops_where_the_region_does():
    yx = np.array([[0, 0], [0, 1], [0, 3], [0, 4], [0, 5]], np.int32)
    assert slice_through(yx, 1, "x").tolist() == [0, 1]
    assert slice_through(yx, 3, "x").tolist() == [2, 3, 4]


@pytest.mark.parametrize("direction", ["x", "y", (1, 1), (-1, 1), (1, 2), (3, -1), (-2, -5)])
@given(mask=MASKS)
def test_runs_cut_a_region_into_unbroken_lines(direction, mask):
    yx = _rows(mask)
    found = runs(yx, direction)
    assert sorted(found.rows.tolist()) == list(range(len(yx)))
    for run in np.split(found.rows, np.cumsum(found.length)[:-1]):
        assert (abs(np.diff(yx[run], axis=0)).max(axis=1, initial=0) <= 1).all()
        for row in run:
            assert slice_through(yx, row, direction).tolist() == run.tolist()


def test_oblique_lines_are_those_of_bresenham():
    yx = _rows(np.ones((4, 9), bool))
    along = yx[slice_through(yx, 0, (1, 2))]
    assert along.tolist() == [[0, 0], [1, 1], [1, 2], [2, 3], [2, 4], [3, 5], [3, 6]]
    down = yx[slice_through(yx, 0, (2, 1))]
    assert down.tolist() == [[0, 0], [1, 1], [2, 1], [3, 2]]
    back = yx[slice_through(yx, 8, (1, -1))]
    assert back.tolist() == [[3, 5], [2, 6], [1, 7], [0, 8]][::-1]


def test_a_direction_must_lead_somewhere():
    with pytest.raises(InvalidRequest, match="x, y, or steps down and right"):
        runs(L_SHAPE, (0, 0))


@pytest.mark.parametrize("name", ORDERS)
@given(mask=MASKS, dihedral=st.integers(0, DIHEDRALS - 1))
def test_dihedral_variants_are_the_curve_on_the_mirrored_region(name, mask, dihedral):
    """Mirror the mask itself, lay the curve on it, and follow the pixels back."""
    mirrored = mask[::-1] if dihedral & 1 else mask
    mirrored = mirrored[:, ::-1] if dihedral & 2 else mirrored
    mirrored = mirrored.T if dihedral & 4 else mirrored
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(mask.sum())
    moved = number[::-1] if dihedral & 1 else number
    moved = moved[:, ::-1] if dihedral & 2 else moved
    moved = moved.T if dihedral & 4 else moved
    expected = moved[mirrored][order(name, _rows(mirrored))]
    assert order(name, _rows(mask), dihedral=dihedral).tolist() == expected.tolist()


def test_dihedral_variants_of_a_square_are_eight():
    yx = _rows(np.ones((4, 4), bool))
    found = {order("hilbert", yx, dihedral=one).tobytes() for one in range(DIHEDRALS)}
    assert len(found) == DIHEDRALS
    with pytest.raises(InvalidRequest, match="0 to 7, got 8"):
        order("hilbert", yx, dihedral=8)


@given(height=st.integers(1, 70), width=st.integers(1, 70))
def test_hilbert2k_is_the_classic_curve_of_the_enclosing_square(height, width):
    side = 1
    while side < max(height, width):
        side *= 2
    whole = rank_table("hilbert", side, side)[:height, :width]
    part = rank_table("hilbert2k", height, width)
    assert (np.argsort(part, axis=None) == np.argsort(whole, axis=None)).all()
    if height == width == side:
        dy, dx = _steps(part)
        assert (dy + dx == 1).all()


@given(size=st.integers(1, 300), run=st.integers(0, 99))
def test_permutation_is_one_and_follows_its_key(size, run):
    key = WalkKey(run, 3, -1, 0)
    found = permutation(size, key)
    assert sorted(found.tolist()) == list(range(size))
    assert found.tolist() == permutation(size, key).tolist()
    if size > 20:
        assert found.tolist() != permutation(size, key._replace(view=1)).tolist()


@pytest.mark.parametrize("connectivity", [4, 8])
@given(mask=MASKS, backtrack=st.booleans(), starts=st.sampled_from(["stratified", "iid"]))
def test_walks_of_every_law_stay_inside(connectivity, mask, backtrack, starts):
    yx = _rows(mask)
    near = neighbours(yx, connectivity=connectivity)
    law = WalkLaw(backtrack=backtrack, starts=starts)
    walks = random_walks(near, count=9, length=12, key=WalkKey(1, 2, 3, 4), law=law)
    steps = abs(np.diff(yx[walks], axis=1))
    reach = steps.sum(axis=2) if connectivity == 4 else steps.max(axis=2)
    alone = (near.rows[:, 0] == np.arange(len(yx)))[walks[:, :-1]]
    assert (reach == np.where(alone, 0, 1)).all()
    straight_back = walks[:, 2:] == walks[:, :-2]
    forced = near.degree[walks[:, 1:-1]] == 1
    assert backtrack or (straight_back <= forced).all()


def test_starts_are_drawn_with_or_without_replacement():
    near = neighbours(_rows(np.ones((10, 10), bool)))
    key = WalkKey(0, 0, 0, 0)
    spread, drawn = (
        np.unique(random_walks(near, count=100, length=1, key=key, law=WalkLaw(starts=starts))).size
        for starts in ("stratified", "iid")
    )
    assert spread == 100
    assert 55 <= drawn <= 72  # 100 (1 - 1/e) = 63


def test_walks_of_many_regions_are_those_of_each():
    masks = [np.ones((3, 4), bool), np.eye(5, dtype=bool), np.ones((1, 1), bool)]
    each = [_rows(mask) for mask in masks]
    size = np.array([len(yx) for yx in each])
    near = neighbours(np.concatenate(each), np.repeat(np.arange(3), size))
    count = walk_count(size, 0.7)
    together = random_walks(
        near, count=count, length=6, key=WalkKey(5, np.arange(3), 1, 0),
        first=np.cumsum(size) - size, size=size,
    )  # fmt: skip
    alone = [
        random_walks(neighbours(yx), count=count[one], length=6, key=WalkKey(5, one, 1, 0))
        for one, yx in enumerate(each)
    ]
    assert together.tolist() == np.concatenate(alone).tolist()


def test_count_of_walks_is_rounded_up():
    assert walk_count([1, 10, 100, 250], 0.07).tolist() == [1, 1, 7, 18]
    with pytest.raises(InvalidRequest, match="must be above 0, got 0"):
        walk_count(10, 0)


def test_spectral_walks_prefer_what_looks_alike():
    """On a line of three, the middle pixel equals its left neighbour and differs from its right one."""
    yx = _rows(np.ones((1, 3), bool))
    spectra = np.array([[0.1], [0.1], [0.2]])
    near = spectral(neighbours(yx), spectra, sigma=0.01)
    walks = random_walks(near, count=6000, length=2, key=WalkKey(0, 0, 0, 0))
    left = (walks[walks[:, 0] == 1, 1] == 0).mean()
    assert left == pytest.approx(1 / (1 + np.exp(-1)), abs=0.03)
    with pytest.raises(InvalidRequest, match="sigma must be above 0"):
        spectral(neighbours(yx), spectra, sigma=0)


def _parcels(count):
    """Masks as in section 1.3 of the reference: blobs of 50 to 250 pixels, some concave."""
    draws = np.random.default_rng(0)
    for _ in range(count):
        angle = np.linspace(0, 2 * np.pi, 7)[:-1] + draws.uniform(0, 0.6, 6)
        radius = np.sqrt(draws.uniform(50, 250)) * draws.uniform(0.45, 0.95, 6)
        corners = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        box = polygon2mask((60, 60), corners * [1, draws.uniform(0.5, 1)] + 30)
        if 50 <= box.sum() <= 250:
            yield _rows(box)


def test_locality_of_curves_is_in_the_order_of_the_reference():
    """Mean distance of pixels 8 apart on the curve: ../reference/deepstar.md, section 1.3."""
    far = {name: [] for name in (*ORDERS, "random")}
    for number, yx in enumerate(_parcels(300)):
        for name, found in far.items():
            along = (
                permutation(len(yx), WalkKey(0, number, 0, 0)) if name == "random" else order(name, yx)
            )
            apart = yx[along][8:] - yx[along][:-8]
            found.append(np.hypot(*apart.T).mean())
    mean = {name: np.mean(values) for name, values in far.items()}
    assert sorted(mean, key=mean.get)[:2] == ["hilbert", "hilbert2k"]
    assert mean["hilbert"] == pytest.approx(3.27, rel=0.1)
    assert mean["hilbert2k"] == pytest.approx(3.55, rel=0.1)
    assert mean["snake"] == pytest.approx(4.87, rel=0.15)
    assert mean["random"] == pytest.approx(6.85, rel=0.15)


@pytest.mark.parametrize(
    ("length", "distinct", "extent"), [(10, 0.79, 4.7), (50, 0.58, 9.6), (100, 0.51, 12.6)]
)
def test_walks_visit_as_the_reference_says(length, distinct, extent):
    """Section 1.4: share of distinct pixels and spatial extent of a walk on masks of 250 pixels."""
    yx = _rows(disk(8.4))
    near = neighbours(yx)
    walks = random_walks(near, count=3000, length=length, key=WalkKey(0, 0, 0, 0))
    unique = np.mean([np.unique(walk).size for walk in walks]) / length
    reach = np.ptp(yx[walks], axis=1).max(axis=1).mean() + 1
    assert unique == pytest.approx(distinct, abs=0.03)
    assert reach == pytest.approx(extent, rel=0.12)
    if length == 100:
        seen = np.bincount(walks[:, 50:].ravel(), minlength=len(yx))
        border = near.degree < 8
        assert seen[border].mean() / seen[~border].mean() == pytest.approx(0.64, abs=0.06)


def test_names_of_orders_and_their_variants():
    assert parse_order("hilbert") == ("hilbert", 0)
    assert parse_order("snake:7") == ("snake", 7)
    for wrong in ("peano", "hilbert:8", "hilbert:", "hilbert:x", "", "snake:1:2"):
        with pytest.raises(InvalidRequest, match=r"unknown order .*use some of raster, .* with :1"):
            parse_order(wrong)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda yx: order("snake", yx[:0]), "at least 1 pixel, got none"),
        (lambda yx: neighbours(yx[:0]), "at least 1 pixel, got none"),
        (lambda yx: neighbours(yx, connectivity=6), "4 or 8 neighbours, got 6"),
        (lambda yx: walks_of(yx, count=2, length=0), "at least 1 pixel .* got 2 of 0"),
        (lambda yx: walks_of(yx, count=-1, length=3), "be at least 0, got -1 of 3"),
    ],
)
def test_what_no_region_or_walk_can_be_is_refused(ask, message):
    with pytest.raises(InvalidRequest, match=message):
        ask(np.argwhere(np.ones((3, 3))))


def test_no_walks_are_an_empty_list():
    assert walks_of(np.argwhere(np.ones((3, 3))), count=0, length=5).shape == (0, 5)


def walks_of(yx, *, count, length):
    return random_walks(neighbours(yx), count=count, length=length, key=WalkKey(0, 0, 0, 0))

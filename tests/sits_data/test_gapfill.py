"""Gap filling of series in memory."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import savgol_filter
from test_composite import stack

from sits_data.errors import InvalidRequest
from sits_data.gapfill import Filling, gapfill, make_fill
from sits_data.gapfill.savgol import local_polynomials
from sits_data.gapfill.whittaker import penalty

REAL = Path(__file__).parents[3] / "shared/data/eolearn_slovenia_s2/eolearn_testeopatch.npz"
METHODS = ("linear", "savgol", "whittaker")


def fill(numbers, clear, days, **settings):
    """One band: numbers and clear are (time, pixel) or (time,)."""
    numbers = np.array(numbers, np.uint16)
    shape = numbers.shape
    values = numbers.reshape(len(days), 1, -1).copy()
    seen = np.array(clear, bool).reshape(len(days), -1)
    filled = np.full(seen.shape, 9, np.uint8)
    apply = make_fill(Filling(**settings), np.array(days, np.int32))
    apply(values, seen, filled, slice(0, seen.shape[1]))
    return values.reshape(shape), filled.reshape(shape)


def test_linear_by_hand_goes_by_days_not_by_dates():
    values, filled = fill([100, 1, 1, 200], [1, 0, 0, 1], [0, 10, 90, 100])
    assert values.tolist() == [100, 110, 190, 200]
    assert filled.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize(
    ("edges", "expected"), [("nearest", [50, 50, 60, 60]), ("none", [0, 50, 60, 0])]
)
def test_edges_are_held_or_left(edges, expected):
    values, filled = fill([7, 50, 60, 7], [0, 1, 1, 0], [0, 5, 10, 15], edges=edges)
    assert values.tolist() == expected
    assert filled.tolist() == [int(edges == "nearest"), 0, 0, int(edges == "nearest")]


@pytest.mark.parametrize("method", METHODS)
def test_long_gaps_stay_empty(method):
    days = [0, 5, 10, 60, 110, 115, 120, 180]
    clear = [1, 0, 1, 0, 1, 0, 1, 0]
    values, filled = fill([500] * 8, clear, days, method=method, max_gap_days=30)
    assert (values == 0).tolist() == [False, False, False, True, False, False, False, True]
    assert filled.tolist() == [0, 1, 0, 0, 0, 1, 0, 0]


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_stays_constant_and_nothing_gives_nothing(method):
    days = np.cumsum([3, 5, 10, 2, 40, 5, 5])
    clear = np.array([[0, 1, 0, 1, 1, 0, 1], [0] * 7, [1] * 7]).T
    values, filled = fill(np.full((7, 3), 4321), clear, days, method=method)
    assert (values[:, [0, 2]] == 4321).all()
    assert (values[:, 1] == 0).all()
    assert (filled == (~clear.astype(bool) & [True, False, True])).all()


SERIES = st.integers(1, 12).flatmap(
    lambda dates: st.tuples(
        st.lists(st.integers(1, 65535), min_size=dates, max_size=dates),
        st.lists(st.booleans(), min_size=dates, max_size=dates),
        st.lists(st.integers(1, 40), min_size=dates, max_size=dates),
    )
)


@given(SERIES, st.sampled_from(METHODS), st.sampled_from(["nearest", "none"]))
def test_a_clear_value_is_never_changed_unless_it_is_smoothed(series, method, edges):
    numbers, clear, gaps = map(np.array, series)
    values, filled = fill(
        numbers, clear, np.cumsum(gaps), method=method, edges=edges, keep_observed=True
    )
    assert (values[clear] == numbers[clear]).all()
    assert not filled[clear].any()
    assert ((values > 0) == (clear | (filled == 1))).all()


@given(SERIES)
def test_linear_is_numpys(series):
    numbers, clear, gaps = map(np.array, series)
    days = np.cumsum(gaps)
    values, _ = fill(numbers, clear, days)
    if clear.any():
        expected = np.interp(days, days[clear], numbers[clear])
        assert np.abs(values - expected).max() <= 0.51


def test_savgol_of_a_full_regular_series_is_scipys():
    numbers = np.random.default_rng(0).integers(3000, 5000, 40)
    values, _ = fill(numbers, [True] * 40, np.arange(40) * 5, method="savgol", window_days=35, order=2)
    expected = savgol_filter(numbers.astype(float), 7, 2)
    assert np.abs(values - expected)[3:-3].max() <= 0.51


def test_savgol_on_irregular_dates_reproduces_its_polynomial():
    days = np.array([0, 3, 10, 11, 30, 37, 41, 60, 70, 75], np.int32)
    weights = local_polynomials(days, 45, 2)
    parabola = 4000 + 3.0 * days - 0.05 * days**2
    np.testing.assert_allclose(weights @ parabola, parabola, rtol=1e-5)


def whittaker_by_hand(numbers, clear, days, smoothing):
    """Dense, with derivatives from polynomials through three points; ends held."""
    rows = []
    for i in range(len(days) - 2):
        three = days[i : i + 3].astype(float)
        second = [np.polyfit(three, np.eye(3)[k], 2)[0] * 2 for k in range(3)]
        row = np.zeros(len(days))
        row[i : i + 3] = np.array(second) * np.sqrt((three[2] - three[0]) / 2)
        rows.append(row)
    weights = np.diag(clear.astype(float))
    smooth = np.linalg.solve(weights + smoothing * np.transpose(rows) @ rows, weights @ numbers)
    first, last = np.flatnonzero(clear)[[0, -1]]
    smooth[:first], smooth[last:] = smooth[first], smooth[last]
    return smooth.clip(1, 65535)


@pytest.mark.parametrize("smoothing", [1.0, 1e4, 1e7])
def test_whittaker_is_the_dense_solution(smoothing):
    rng = np.random.default_rng(1)
    days = np.sort(rng.choice(500, 40, replace=False))
    numbers, clear = rng.integers(1000, 9000, (40, 150)), rng.random((40, 150)) < 0.4
    values, _ = fill(numbers, clear, days, method="whittaker", smoothing=smoothing)
    for pixel in range(150):
        assert clear[:, pixel].sum() >= 3
        expected = whittaker_by_hand(numbers[:, pixel], clear[:, pixel], days, smoothing)
        assert np.abs(values[:, pixel] - expected).max() <= 0.51


def test_whittaker_on_daily_dates_has_the_classic_penalty():
    full = np.diff(np.eye(6), 2, axis=0)
    classic = 7.0 * full.T @ full
    bands = penalty(np.arange(6, dtype=np.int32), 7.0)
    np.testing.assert_allclose(bands[0], np.diag(classic))
    np.testing.assert_allclose(bands[1, :-1], np.diag(classic, 1))
    np.testing.assert_allclose(bands[2, :-2], np.diag(classic, 2))


def test_whittaker_with_much_smoothing_is_a_straight_line():
    days = np.array([0, 7, 20, 33, 50, 61])
    clear = np.array([1, 0, 1, 1, 0, 1], bool)
    numbers = np.array([1000, 1, 1900, 2100, 1, 3300])
    values, _ = fill(numbers, clear, days, method="whittaker", smoothing=1e12)
    line = np.polyval(np.polyfit(days[clear], numbers[clear], 1), days)
    assert np.abs(values - line).max() <= 1


def test_whittaker_with_two_clear_dates_is_linear():
    arguments = [100, 1, 300], [1, 0, 1], [0, 5, 10]
    assert fill(*arguments, method="whittaker")[0].tolist() == fill(*arguments)[0].tolist()


@pytest.mark.parametrize("method", METHODS)
def test_dask_gives_the_same(method):
    days = ["2020-01-03", "2020-01-08", "2020-01-13", "2020-01-28", "2020-03-02", "2020-03-30"]
    cube = stack(days)
    lazy = gapfill(cube.chunk(time=1, y=3, x=4), Filling(method))
    assert lazy["reflectance"].chunks is not None
    made = gapfill(cube, Filling(method))
    xr.testing.assert_identical(made, lazy.compute())
    assert made["reflectance"].dtype == np.float32
    assert ((made["qa"] == 1) == made["reflectance"].isnull().all("band")).all()


def test_linear_leaves_clear_reflectance_to_the_bit():
    cube = stack([f"2020-01-{day:02}" for day in range(1, 20)])
    clear = (cube["qa"] == 0) & cube["reflectance"].notnull().all("band")
    before = cube["reflectance"].copy(deep=True)
    made = gapfill(cube)
    assert ((made["filled"] == 1) == ~clear).all()
    assert (
        made["reflectance"].where(clear) == cube["reflectance"].where(clear)
    ).sum() == 3 * clear.sum()
    xr.testing.assert_identical(cube["reflectance"], before)


@pytest.mark.real
def test_real_ndvi_is_told_better_than_by_copying_the_nearest_date():
    if not REAL.exists():
        pytest.skip(f"{REAL} is absent")
    data = np.load(REAL)
    days, first = np.unique(data["time"].astype("M8[D]").astype(np.int32), return_index=True)
    ndvi = data["ndvi_1e4"][first].reshape(len(days), -1)[:, ::7].astype(np.int32)
    seen = ((data["is_data"] > 0) & (data["cloud_mask"] == 0))[first]
    clear = seen.reshape(len(days), -1)[:, ::7]
    squares = []
    for seed in range(5):
        hidden = np.zeros(len(days), bool)
        hidden[np.random.default_rng(seed).choice(len(days), 13, replace=False)] = True
        left = clear & ~hidden[:, None]
        where = clear & hidden[:, None] & left.any(axis=0)
        distance = np.where(left, np.abs(days[:, None, None] - days[:, None]), 10**6)
        copied = np.take_along_axis(ndvi, distance.argmin(axis=1), axis=0)
        filled, _ = fill(ndvi + 20_000, left, days)
        squares.append([((made - ndvi)[where] ** 2).mean() for made in (filled - 20_000.0, copied)])
    told, baseline = np.sqrt(np.mean(squares, axis=0)) / 1e4
    assert told < 0.93 * baseline
    assert told < 0.11


@pytest.mark.parametrize("days", [[0, 5, 5], [0, 5, 3]])
def test_dates_that_do_not_ascend_are_refused(days):
    with pytest.raises(InvalidRequest, match="dates must ascend, one entry a day"):
        make_fill(Filling(), np.array(days))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"method": "spline"}, "linear, savgol, whittaker, got spline"),
        ({"edges": "wrap"}, "nearest, none, got wrap"),
        ({"max_gap_days": 0}, "at least 1 day, got 0"),
        ({"window_days": 0}, "at least 1 day, got 0"),
        ({"order": 9}, "degree of 0 to 5, got 9"),
        ({"smoothing": 0}, "above 0 and at most 1e12, got 0"),
        ({"smoothing": float("nan")}, "above 0 .* got nan"),
    ],
)
def test_bad_settings_are_refused(settings, says):
    with pytest.raises(InvalidRequest, match=says):
        Filling(**settings)

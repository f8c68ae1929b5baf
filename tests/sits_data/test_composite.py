"""Composites of images in memory."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sits_data.composite import Compositing, compose, composite, rank_dates
from sits_data.composite.network import sorting_network
from sits_data.errors import InvalidRequest, MissingArray, MissingBand

BANDS = ("B02", "B04", "B08")


def stack(days, *, seed=0, shape=(7, 11), bands=BANDS):
    """A Dataset as `open_cube` gives it, with clouds and missing values."""
    rng = np.random.default_rng(seed)
    dn = rng.integers(1, 9000, (len(days), len(bands), *shape)).astype(np.uint16)
    dn[rng.random(dn.shape) < 0.02] = 0
    reflectance = np.where(dn == 0, np.nan, dn * np.float32(1e-4) - np.float32(0.1)).astype(np.float32)
    qa = rng.choice(np.array([0, 0, 0, 0, 2, 4, 8, 128], np.uint8), (len(days), *shape))
    return xr.Dataset(
        {
            "reflectance": (("time", "band", "y", "x"), reflectance),
            "scl": (("time", "y", "x"), rng.integers(0, 12, qa.shape).astype(np.uint8)),
            "qa": (("time", "y", "x"), qa),
        },
        {"time": np.array(days, "M8[ns]"), "band": list(bands)},
    )


DAYS = ["2020-01-03", "2020-01-08", "2020-01-13", "2020-01-28", "2020-03-02", "2020-03-30"]


def one_pixel(*dates, clear=None):
    """Numbers (time, band, 1, 1) and clear of one pixel."""
    numbers = np.array(dates, np.uint16)[:, :, None, None]
    seen = np.ones(len(dates), bool) if clear is None else np.array(clear, bool)
    return numbers, seen[:, None, None]


def run(method, numbers, clear, bands=BANDS, rank=None):
    rank = np.arange(len(numbers)) if rank is None else np.array(rank)
    return compose(numbers, clear, method, bands=bands, rank=rank)


def test_median_by_hand():
    numbers, clear = one_pixel([5, 9, 1], [7, 2, 4], [6, 3, 9], [9999] * 3, clear=[1, 1, 1, 0])
    done = run("median", numbers, clear)
    assert done.numbers.ravel().tolist() == [6, 3, 4]
    assert done.count.item() == 3


def test_median_of_an_even_number_is_the_mean_of_two_rounded_up():
    done = run("median", *one_pixel([5, 10, 65535], [8, 20, 65535]))
    assert done.numbers.ravel().tolist() == [7, 15, 65535]


def test_medoid_is_an_observed_date_near_the_others():
    numbers, clear = one_pixel([100, 100, 100], [110, 100, 100], [130, 100, 100], [105, 999, 0])
    done = run("medoid", numbers, clear)
    assert done.source.item() == 1
    assert done.numbers.ravel().tolist() == [110, 100, 100]


def test_medoid_of_two_is_the_first():
    assert run("medoid", *one_pixel([1, 2, 3], [9, 9, 9])).source.item() == 0


def test_least_cloudy_takes_the_best_date_that_is_clear_here():
    numbers, clear = one_pixel([1] * 3, [2] * 3, [3] * 3, clear=[1, 1, 0])
    assert run("least-cloudy", numbers, clear, rank=[2, 1, 0]).source.item() == 1


def test_max_ndvi_looks_at_reflectance_not_at_numbers():
    # Reflectance (red, infrared): (0.02, 0.10) has NDVI 0.67, (0.20, 0.45) has 0.38. Of the numbers
    # (1200, 2000) and (3000, 5500) the second would win.
    numbers, clear = one_pixel([0, 3000, 5500], [0, 1200, 2000])
    assert run("max-ndvi", numbers, clear).source.item() == 1


def test_max_ndvi_takes_water_with_negative_reflectance_last():
    numbers, clear = one_pixel([1, 980, 990], [1, 3000, 2500])
    assert run("max-ndvi", numbers, clear).source.item() == 1
    numbers, clear = one_pixel([1, 980, 990], [1, 3000, 2500], clear=[1, 0])
    assert run("max-ndvi", numbers, clear).source.item() == 0


@pytest.mark.parametrize("count", range(1, 40))
def test_network_sorts(count):
    values = np.random.default_rng(count).integers(0, 9, (count, 500))
    for low, high in sorting_network(count):
        values[low], values[high] = np.minimum(*values[[low, high]]), np.maximum(*values[[low, high]])
    assert (np.diff(values, axis=0) >= 0).all()


STACKS = st.integers(0, 6).flatmap(
    lambda dates: st.tuples(
        hnp.arrays(np.uint16, (dates, 2, 3, 5), elements=st.integers(1, 65535)),
        hnp.arrays(np.bool_, (dates, 3, 5)),
    )
)


@given(STACKS)
def test_median_is_numpys(stack_and_clear):
    numbers, clear = stack_and_clear
    done = run("median", numbers, clear, bands=BANDS[:2])
    values = np.ma.masked_array(numbers, np.broadcast_to(~clear[:, None], numbers.shape)).astype(float)
    expected = np.floor(np.ma.median(values, axis=0).filled(0) + 0.5) if len(numbers) else 0
    assert (done.numbers == expected).all()
    assert (done.count == clear.sum(axis=0)).all()


@given(STACKS)
def test_medoid_is_the_definition(stack_and_clear):
    numbers, clear = stack_and_clear
    done = run("medoid", numbers, clear, bands=BANDS[:2])
    for y, x in np.ndindex(3, 5):
        seen = np.flatnonzero(clear[:, y, x])
        if not len(seen):
            assert done.source[y, x] == -1
            assert (done.numbers[:, y, x] == 0).all()
            continue
        points = numbers[seen, :, y, x].astype(float)
        sums = np.linalg.norm(points[:, None] - points, axis=-1).sum(axis=1)
        chosen = np.flatnonzero(seen == done.source[y, x])
        np.testing.assert_allclose(sums[chosen], sums.min(), rtol=1e-5)
        assert (done.numbers[:, y, x] == numbers[done.source[y, x], :, y, x]).all()


@pytest.mark.parametrize("method", ["median", "medoid", "least-cloudy", "max-ndvi", "count"])
def test_dask_gives_the_same_and_is_lazy(method):
    cube, settings = stack(DAYS), Compositing("P1M", method)
    lazy = composite(cube.chunk(time=1, y=3, x=4), settings)
    assert lazy["count"].chunks is not None
    xr.testing.assert_identical(composite(cube, settings), lazy.compute())


def test_dataset_of_composites_is_as_promised():
    cube = stack(DAYS)
    made = composite(cube, Compositing("P1M", "medoid"))
    assert made["time"].dt.strftime("%Y-%m-%d").values.tolist() == [f"2020-0{m}-01" for m in (1, 2, 3)]
    assert str(made["time_bnds"].values[1, 1])[:10] == "2020-03-01"
    assert made["reflectance"].dims == ("time", "band", "y", "x")
    assert made["reflectance"].dtype == np.float32
    empty = made["count"] == 0
    assert empty.sel(time="2020-02").all()
    assert (made["reflectance"].isnull().all("band") == empty).all()
    assert ((made["qa"] == 1) == empty).all()
    assert ((made["source"] == -1) == empty).all()
    shown = cube["reflectance"].isel(time=made["source"].clip(0).values[0, 3, 3])
    if not empty[0, 3, 3]:
        assert (made["reflectance"][0, :, 3, 3] == shown[:, 3, 3]).all()


def test_what_is_unclear_or_lacks_a_band_does_not_count():
    cube = stack(DAYS)
    clear = (cube["qa"] == 0) & cube["reflectance"].notnull().all("band")
    counts = composite(cube, Compositing("P1Y", "count"))["count"]
    assert (counts[0] == clear.sum("time")).all()
    strict = composite(cube, Compositing("P1Y", "count"), mask="strict")["count"]
    assert (strict[0] == (clear & ~cube["scl"].isin([2, 7])).sum("time")).all()


def test_numbers_and_reflectance_give_the_same():
    cube = stack(DAYS)
    numbers = ((cube["reflectance"] + 0.1) * 1e4).round().fillna(0).astype(np.uint16)
    xr.testing.assert_identical(composite(cube), composite(cube.assign(reflectance=numbers)))


@pytest.mark.parametrize(
    ("bad", "error", "says"),
    [
        (lambda _: Compositing("monthly"), InvalidRequest, "a period is one of"),
        (lambda _: Compositing(method="mean"), InvalidRequest, "median, medoid, .* got mean"),
        (
            lambda c: composite(c.isel(band=[0, 1]), Compositing(method="max-ndvi")),
            MissingBand, "needs B04 and B08, the cube lacks B08",
        ),
        (
            lambda c: composite(c.drop_vars("scl"), mask="strict"),
            MissingArray, "strict needs the array scl",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_refused(bad, error, says):
    with pytest.raises(error, match=says):
        bad(stack(DAYS))


def test_dates_are_ranked_by_clear_share_the_first_of_equals_first():
    assert rank_dates(np.array([0.5, 0.9, 0.5, 1.0])).tolist() == [2, 1, 3, 0]

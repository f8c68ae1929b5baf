import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sits_data.planar import coverage, gather, scatter

PIXELS = hnp.arrays(
    st.sampled_from([np.uint16, np.float32]),
    st.tuples(st.integers(1, 12), st.integers(1, 4), st.integers(1, 3)),
    elements=st.integers(0, 65535),
)


def test_gather_by_hand():
    pixels = np.array([[[1, 2]], [[3, 4]], [[5, 6]]], np.uint16)  # three pixels, a date, two bands
    image = gather(pixels, np.array([2, 0, -1, 2]))
    assert image.dtype == np.uint16
    assert image.tolist() == [[[5, 1, 0, 5]], [[6, 2, 0, 6]]]


def test_gather_of_walks_is_a_bag_of_planar_images():
    pixels = np.arange(5 * 3 * 2).reshape(5, 3, 2)
    walks = np.array([[0, 1, 1], [4, -1, 2]])
    bag = gather(pixels, walks)
    assert bag.shape == (2, 2, 3, 3)
    for image, walk in zip(bag, walks, strict=True):
        assert np.array_equal(image, gather(pixels, walk))


@given(pixels=PIXELS, data=st.data())
def test_scatter_undoes_gather_exactly(pixels, data):
    order = np.array(data.draw(st.permutations(range(len(pixels)))))
    for reduce in ("mean", "sum", "max"):
        back = scatter(gather(pixels, order), order, len(pixels), reduce=reduce)
        assert np.array_equal(back, pixels)


@given(pixels=PIXELS, data=st.data())
def test_mean_of_walks_gives_back_what_they_saw_and_nan_elsewhere(pixels, data):
    size = len(pixels)
    walks = data.draw(hnp.arrays(np.int64, (3, 5), elements=st.integers(-1, size - 1)))
    back = scatter(gather(pixels, walks), walks, size)
    seen = coverage(walks, size) > 0
    np.testing.assert_allclose(back[seen], pixels[seen], rtol=1e-6)
    assert np.isnan(back[~seen]).all()


@pytest.mark.parametrize(
    ("reduce", "expected"),
    [("mean", [2.0, np.nan, 7.0]), ("sum", [4.0, 0.0, 7.0]), ("max", [3.0, np.nan, 7.0])],
)
def test_scatter_reduces_what_a_pixel_got_twice_and_ignores_padding(reduce, expected):
    scores, index = np.array([1.0, 3.0, 7.0, 99.0]), np.array([0, 0, 2, -1])
    np.testing.assert_array_equal(scatter(scores, index, 3, reduce=reduce), expected)
    assert coverage(index, 3).tolist() == [2, 0, 1]


def test_scatter_keeps_float32_and_takes_scores_of_walks():
    scores = np.array([[1, 2], [3, 4]], np.float32)
    back = scatter(scores, np.array([[0, 1], [1, 2]]), 3)
    assert back.dtype == np.float32
    assert back.tolist() == [1.0, 2.5, 4.0]


@pytest.mark.parametrize(
    ("values", "index"),
    [((4,), (5,)), ((3, 2, 4), (2, 4))],
)
def test_scatter_refuses_shapes_that_do_not_fit(values, index):
    with pytest.raises(ValueError, match=r"values must be \(…, L\)"):
        scatter(np.zeros(values), np.zeros(index, int), 9)

"""Edges, matching, consensus and resampling: NumPy in, values out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from sits_data.shifts import Edges, Match, compose, find_consensus, find_edges, match, nearest, resample

DISTANCE = st.floats(-3, 3, allow_nan=False)
SHIFT = st.tuples(DISTANCE, DISTANCE)
SEED = st.integers(0, 2**32 - 1)


def land(seed: int = 0, side: int = 64) -> np.ndarray:
    """A smooth random picture: (band, y, x) DN."""
    noise = np.random.default_rng(seed).normal(size=(2, side, side))
    smooth = ndimage.gaussian_filter(noise, (0, 2, 2), mode="wrap")
    return (3000 + 500 * smooth / smooth.std()).astype(np.uint16)


def moved(picture: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    return (
        ndimage.shift(picture.astype(float), (0, *shift), order=5, mode="grid-wrap").round().astype("u2")
    )


def clear(picture: np.ndarray) -> np.ndarray:
    return np.ones(picture.shape[-2:], bool)


def test_resample_halfway_is_the_cubic_of_four_pixels():
    values, valid = resample(np.array([[0.0, 1, 4, 9, 16, 25]]), np.ones((1, 6), bool), (0, 0.5))
    # Keys: (-1, 9, 9, -1) / 16; exact for a parabola.
    assert values[0, 1:4].tolist() == [2.25, 6.25, 12.25]
    assert valid.tolist() == [[True] * 5 + [False]]


@given(seed=SEED, down=st.integers(-9, 9), right=st.integers(-9, 9))
def test_whole_pixels_are_moved_and_not_mixed(seed, down, right):
    rng = np.random.default_rng(seed)
    image, valid = rng.normal(size=(7, 8)), rng.random((7, 8)) < 0.7
    values, seen = resample(image, valid, (down, right))
    assert np.array_equal(seen, nearest(valid, (down, right), fill=False))
    np.testing.assert_array_equal(values, np.where(seen, nearest(image, (down, right), fill=0.0), 0))


@given(seed=SEED, shift=SHIFT)
def test_what_is_invalid_is_never_mixed_in(seed, shift):
    rng = np.random.default_rng(seed)
    image, valid = rng.normal(size=(9, 11)), rng.random((9, 11)) < 0.6
    spoilt = np.where(valid, image, 1e9)
    for one, other in zip(resample(image, valid, shift), resample(spoilt, valid, shift), strict=True):
        np.testing.assert_array_equal(one, other)
    level, seen = resample(np.full((9, 11), 7.0), valid, shift)
    np.testing.assert_allclose(level[seen], 7)


@given(seed=SEED, shift=SHIFT)
def test_a_part_of_a_picture_gives_that_part_of_the_result(seed, shift):
    rng = np.random.default_rng(seed)
    image, valid = rng.normal(size=(20, 20)), rng.random((20, 20)) < 0.8
    whole, part = (resample(image[s, s], valid[s, s], shift) for s in (np.s_[:], np.s_[1:19]))
    inside = np.s_[6:14], np.s_[6:14]
    for one, other in zip(whole, part, strict=True):
        np.testing.assert_allclose(one[inside], other[5:13, 5:13], atol=1e-12)


@given(seed=st.integers(0, 1000), shift=st.tuples(st.floats(-2, 2), st.floats(-2, 2)))
def test_match_finds_a_planted_shift(seed, shift):
    picture = land(seed)
    found = match(find_edges(picture, clear(picture)), find_edges(moved(picture, shift), clear(picture)))
    assert (found.down, found.right) == pytest.approx(shift, abs=0.2)
    assert found.correlation > 0.8


def test_match_does_not_mind_that_bright_became_dark():
    picture = land()
    found = match(
        find_edges(picture, clear(picture)),
        find_edges(6000 - moved(picture, (0.7, -1.2)), clear(picture)),
    )
    assert (found.down, found.right) == pytest.approx((0.7, -1.2), abs=0.1)


def test_clouds_do_not_hold_the_shift_at_zero():
    picture, cloud = land(), np.zeros((64, 64), bool)
    cloud[10:30, 30:52] = True
    here, there = np.where(cloud, 9000, picture), np.where(cloud, 9000, moved(picture, (1.3, 0.8)))
    found = match(*(find_edges(one.astype("u2"), ~cloud) for one in (here, there)))
    assert (found.down, found.right) == pytest.approx((1.3, 0.8), abs=0.2)


def test_edges_know_what_is_clear_and_what_is_flat():
    picture, seen = land(), np.ones((64, 64), bool)
    seen[20, 20] = False
    edges = find_edges(picture, seen)
    assert np.argwhere(~edges.known).tolist() == [[y, x] for y in (19, 20, 21) for x in (19, 20, 21)]
    assert not edges.flat
    assert edges.strength[edges.known].astype(float).mean() == pytest.approx(1, abs=1e-3)
    assert find_edges(np.full_like(picture, 1100), seen).flat
    assert find_edges(picture, np.zeros_like(seen)).flat


def test_compose_moves_back_before_it_averages():
    picture = land()
    shifts = [(0.0, 0.0), (1.0, -2.0), (-2.0, 1.0)]
    dates = [find_edges(moved(picture, shift), clear(picture)) for shift in shifts]
    mean = compose(dates, shifts)
    inside = np.s_[4:-4, 4:-4]
    np.testing.assert_allclose(
        mean.strength[inside].astype(float), dates[0].strength[inside].astype(float), atol=0.02
    )
    assert mean.known.all()


def test_compose_leaves_out_what_is_unknown():
    strength, known = np.ones((8, 8), np.float16), np.ones((8, 8), bool)
    hidden = known.copy()
    hidden[2, 2] = False
    both = [Edges(strength, known, False), Edges(3 * strength, hidden, False)]
    mean = compose(both, [(0.0, 0.0)] * 2)
    assert (mean.strength[2, 2], mean.strength[3, 3]) == (1, 2)


GOOD = [Match(0.5, -1.0, 0.9), Match(0.6, -1.1, 0.8), Match(0.4, -1.0, 0.7)]


@pytest.mark.parametrize(
    ("matches", "measured", "used", "weak"),
    [
        (GOOD, True, 3, 0),
        ([*GOOD, Match(4.0, 4.0, 0.1)], True, 3, 1),
        ([*GOOD, Match(9.0, 0.0, 0.9)], True, 3, 1),
        (GOOD[:2], False, 2, 0),
        ([], False, 0, 0),
        ([Match(2 * n, 0, 0.9) for n in (-2, -1, 0, 1, 2)], False, 5, 0),
    ],
)
def test_consensus(matches, measured, used, weak):
    found = find_consensus(matches)
    assert (found.measured, found.used, found.weak) == (measured, used, weak)
    if measured:
        assert (found.down, found.right) == (0.5, -1.0)
        assert found.spread_down == pytest.approx(0.14826)
        assert found.spread_right == 0

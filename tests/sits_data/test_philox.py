import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sits_data.philox import below, philox

ONES = 0xFFFFFFFF
PI = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)


@pytest.mark.parametrize(
    ("key", "counter", "words"),
    [
        ((0, 0), (0, 0, 0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((ONES, ONES), (ONES,) * 4, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ((0xA4093822, 0x299F31D0), PI, "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_known_answers_of_the_authors(key, counter, words):
    assert philox(key, counter).tolist() == [int(word, 16) for word in words.split()]


@given(st.integers(-(2**40), 2**40), st.integers(0, 2**33))
def test_arguments_count_modulo_two_to_the_32(run, step):
    wrapped = philox((run % 2**32, 1), (step % 2**32, 0, -1 % 2**32, 0))
    assert (philox((run, 1), (step, 0, -1, 0)) == wrapped).all()


def test_arrays_are_broadcast():
    words = philox((np.arange(3)[:, None], 7), (np.arange(5)[None], 0, 0, 0))
    assert words.shape == (3, 5, 4)
    assert words[2, 4].tolist() == philox((2, 7), (4, 0, 0, 0)).tolist()


@given(st.integers(1, 2**31), st.integers(0, 999))
def test_below_stays_below(limit, seed):
    drawn = below(philox((seed, 0), (np.arange(50), 0, 0, 0)), limit)
    assert drawn.min() >= 0
    assert drawn.max() < limit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sits_data.bands import SCL
from sits_data.mask import QA, MaskPreset, clear_pixels, dilate, qa_from_scl

BITS = {0: 1, 1: 1, 2: 0, 3: 4, 4: 0, 5: 0, 6: 0, 7: 0, 8: 2, 9: 2, 10: 8, 11: 16}
UNCLEAR_SCL: dict[MaskPreset, set[int]] = {
    "permissive": {0, 1, 3, 8, 9},
    "standard": {0, 1, 3, 8, 9, 10, 11},
    "strict": {0, 1, 2, 3, 7, 8, 9, 10, 11},
}
scl_arrays = arrays(
    np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20)), elements=st.integers(0, 11)
)


@given(scl_arrays)
def test_qa_is_a_lookup_of_scl(scl: np.ndarray) -> None:
    assert qa_from_scl(scl).tolist() == [[BITS[value] for value in row] for row in scl.tolist()]


@pytest.mark.parametrize("preset", UNCLEAR_SCL)
@given(scl=scl_arrays)
def test_presets_count_their_classes(preset: MaskPreset, scl: np.ndarray) -> None:
    clear = clear_pixels(qa_from_scl(scl), scl, preset)
    assert np.array_equal(clear, ~np.isin(scl, list(UNCLEAR_SCL[preset])))


@pytest.mark.parametrize("preset", UNCLEAR_SCL)
@pytest.mark.parametrize("bit", [QA.NO_DATA, QA.DILATED, QA.READ_FAILED, QA.NOT_READ])
def test_some_bits_are_never_clear(preset: MaskPreset, bit: QA) -> None:
    qa = np.array([0, bit], np.uint8)
    assert clear_pixels(qa, np.full(2, SCL.VEGETATION, np.uint8), preset).tolist() == [True, False]


def test_strict_needs_scl() -> None:
    with pytest.raises(ValueError, match="needs scl"):
        clear_pixels(np.zeros(3, np.uint8), None, "strict")


def test_dilation_by_hand() -> None:
    scl = np.full((5, 5), SCL.VEGETATION, np.uint8)
    scl[2, 2] = SCL.CLOUD_HIGH
    plus = [[0, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 1, 0, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]]
    assert dilate(scl, 20, 20).astype(int).tolist() == plus
    assert dilate(scl, 19.9, 20).sum() == 0
    assert dilate(scl, 28.3, 20).sum() == 8


@given(scl_arrays, st.floats(0, 100))
def test_dilation_marks_what_is_near(scl: np.ndarray, radius_m: float) -> None:
    seeds = np.argwhere(np.isin(scl, [3, 8, 9, 10]))
    near = np.zeros(scl.shape, bool)
    for y, x in np.ndindex(scl.shape):
        if radius_m and len(seeds):
            near[y, x] = 0 < 20 * np.sqrt(((seeds - (y, x)) ** 2).sum(1)).min() <= radius_m
    assert np.array_equal(dilate(scl, radius_m, 20), near)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import TypeAdapter, ValidationError

from sits_data.bands import SCL
from sits_data.errors import InvalidRequest
from sits_data.mask import (
    OBSCURED,
    QA,
    MaskName,
    MaskPreset,
    Refinement,
    clear_pixels,
    parse_mask,
    qa_from_scl,
    refine,
    refined_qa,
    strict_classes,
    unclear_bits,
)

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


def dilated(scl: np.ndarray, radius_m: float) -> np.ndarray:
    """(y, x), True where a pixel of 20 m is near to a cloud and none itself."""
    refined = refine(qa_from_scl(scl), Refinement(dilate_m=radius_m), 20)
    return refined.near & ~refined.kept


def test_dilation_by_hand() -> None:
    scl = np.full((5, 5), SCL.VEGETATION, np.uint8)
    scl[2, 2] = SCL.CLOUD_HIGH
    plus = [[0, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 1, 0, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]]
    assert dilated(scl, 20).astype(int).tolist() == plus
    assert dilated(scl, 19.9).sum() == 0
    assert dilated(scl, 28.3).sum() == 8


@given(scl_arrays, st.floats(0, 100))
def test_dilation_marks_what_is_near(scl: np.ndarray, radius_m: float) -> None:
    seeds = np.argwhere(np.isin(scl, [3, 8, 9, 10]))
    near = np.zeros(scl.shape, bool)
    for y, x in np.ndindex(scl.shape):
        if radius_m and len(seeds):
            near[y, x] = 0 < 20 * np.sqrt(((seeds - (y, x)) ** 2).sum(1)).min() <= radius_m
    assert np.array_equal(dilated(scl, radius_m), near)


@pytest.mark.parametrize(
    ("name", "clear_scl"),
    [
        ("standard-snow", 11), ("standard-cirrus", 10), ("strict-snow", 11), ("permissive-snow", 11),
    ],
)  # fmt: skip
def test_a_switch_off_counts_a_class_as_clear(name: MaskName, clear_scl: int) -> None:
    scl = np.arange(12, dtype=np.uint8)
    unclear = UNCLEAR_SCL[name.split("-")[0]] - {clear_scl}  # type: ignore[index]
    assert np.flatnonzero(~clear_pixels(qa_from_scl(scl), scl, name)).tolist() == sorted(unclear)


def test_a_switch_on_counts_a_class_as_unclear() -> None:
    assert unclear_bits("permissive+cirrus") == unclear_bits("permissive") | QA.CIRRUS
    assert parse_mask("permissive+snow+cirrus") == parse_mask("standard")
    assert parse_mask("standard-cirrus-snow") == parse_mask("permissive")
    assert parse_mask("strict-cirrus") != parse_mask("standard-cirrus")
    assert strict_classes("strict-snow") == (2, 7)
    assert strict_classes("standard+snow") == ()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("lax", "unknown mask 'lax'; use one of standard, strict, permissive, with"),
        ("", "unknown mask ''"),
        ("standard snow", "unknown mask 'standard snow'"),
        ("standard-", "unknown mask 'standard-'"),
        ("standard-fog", "can switch cirrus and snow, got fog"),
        ("standard-snow+snow", "each thing once"),
    ],
)
def test_masks_that_do_not_exist(name: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as caught:
        parse_mask(name)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValidationError, match=says):
        TypeAdapter(MaskName).validate_python(name)


def test_erosion_takes_specks_and_nothing_else() -> None:
    scl = np.full((9, 12), SCL.VEGETATION, np.uint8)
    scl[1:6, 1:6] = SCL.CLOUD_HIGH  # holds a disk of 40 m
    scl[7, 1] = SCL.CLOUD_MEDIUM  # a speck
    scl[1:9, 10] = SCL.CIRRUS  # a line
    scl[8, 5] = SCL.SNOW
    expected = scl.copy()
    expected[7, 1] = expected[1:9, 10] = SCL.VEGETATION
    for corner in ((1, 1), (1, 5), (5, 1), (5, 5)):  # an opening rounds corners
        expected[corner] = SCL.VEGETATION
    qa = qa_from_scl(scl)
    refined = refine(qa, Refinement(erode_m=20), 20)
    assert np.array_equal(refined_qa(qa, refined.kept, refined.near), qa_from_scl(expected))


def test_erosion_counts_a_thin_shadow_beside_a_cloud_as_one_with_it() -> None:
    scl = np.full((9, 9), SCL.VEGETATION, np.uint8)
    scl[2:7, 2:7] = SCL.CLOUD_HIGH
    scl[2:7, 6] = SCL.CLOUD_SHADOW
    kept = refine(qa_from_scl(scl), Refinement(erode_m=20), 20).kept
    assert kept[3:6, 6].all()


def test_what_was_not_seen_does_not_eat_into_clouds() -> None:
    scl = np.full((6, 6), SCL.NO_DATA, np.uint8)
    scl[:, 3] = SCL.CLOUD_HIGH  # one pixel of a cloud at the edge of the swath
    scl[:, 4:] = SCL.VEGETATION
    qa = qa_from_scl(scl)
    refined = refine(qa, Refinement(erode_m=20), 20)
    assert np.array_equal(refined_qa(qa, refined.kept, refined.near), qa)


def test_a_removed_speck_beside_a_cloud_is_dilated() -> None:
    scl = np.full((7, 12), SCL.VEGETATION, np.uint8)
    scl[1:6, 1:6] = SCL.CLOUD_HIGH
    scl[3, 7] = SCL.CLOUD_HIGH
    qa = qa_from_scl(scl)
    refined = refine(qa, Refinement(erode_m=20, dilate_m=40), 20)
    assert refined_qa(qa, refined.kept, refined.near)[3, 5:9].tolist() == [2, 32, 32, 0]


@given(scl_arrays, st.floats(0, 80), st.floats(0, 80))
def test_refining_changes_no_other_bit(scl: np.ndarray, dilate_m: float, erode_m: float) -> None:
    qa = qa_from_scl(scl)
    refined = refine(qa, Refinement(dilate_m=dilate_m, erode_m=erode_m), 20)
    after = refined_qa(qa, refined.kept, refined.near)
    others = ~np.uint8(OBSCURED | QA.DILATED)
    assert np.array_equal(after & others, qa & others)
    assert not ((after & OBSCURED) & ~(qa & OBSCURED)).any()  # nothing is marked but as dilated
    assert not ((after & OBSCURED != 0) & (after & QA.DILATED != 0)).any()


@given(
    arrays(np.uint8, (40, 40), elements=st.sampled_from([4, 4, 9, 9, 9, 3])),
    st.floats(0, 60),
    st.floats(0, 60),
)
def test_a_window_padded_by_the_reach_is_refined_as_the_whole(
    scl: np.ndarray, dilate_m: float, erode_m: float
) -> None:
    refinement = Refinement(dilate_m=dilate_m, erode_m=erode_m)
    qa = qa_from_scl(scl)
    whole = refine(qa, refinement, 20)
    pad = refinement.reach_px(20)
    start, stop = 18, 22
    low, high = max(0, start - pad), min(40, stop + pad)
    part = refine(qa[low:high, low:high], refinement, 20)
    inner = slice(start - low, stop - low)
    assert np.array_equal(part.kept[inner, inner], whole.kept[start:stop, start:stop])
    assert np.array_equal(part.near[inner, inner], whole.near[start:stop, start:stop])


@given(arrays(np.uint8, (12, 12), elements=st.sampled_from([4, 4, 9])), st.floats(0, 60))
def test_opening_is_the_union_of_disks_that_fit(scl: np.ndarray, radius_m: float) -> None:
    marked = scl == SCL.CLOUD_HIGH
    places = np.argwhere(np.ones(scl.shape, bool))
    opened = np.zeros(scl.shape, bool)
    for place in places:
        disk = (20 * np.hypot(*(places - place).T) <= radius_m).reshape(scl.shape)
        if marked[disk].all():
            opened |= disk
    assert np.array_equal(refine(qa_from_scl(scl), Refinement(erode_m=radius_m), 20).kept, opened)


def test_distances_have_limits() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        Refinement(dilate_m=-1)
    assert Refinement().nothing
    assert Refinement(dilate_m=50, erode_m=30).reach_px(20) == 6

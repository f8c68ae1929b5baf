import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sits_data.bands import SCL
from sits_data.pixeltest import TEST_BANDS, Sample, offset_by_continuity, offset_by_darkness

SIDE = 20
VEGETATION, SOIL, WATER, SAND, CLOUD, SNOW, ICE_CLOUD = (
    (300, 350, 900), (750, 1400, 2500), (300, 250, 10), (1200, 2200, 4000), (6200, 6400, 4200),
    (8400, 8500, 800), (5600, 5300, 1150),
)  # fmt: skip
"""10000 times reflectance in B02, B04 and B12."""

type Ground = tuple[tuple[int, int, int], SCL, float]


def look(*grounds: Ground, held_dn: int = 0, seed: int = 0) -> Sample:
    """A sample of grounds side by side: 10000 * reflectance, class, share of the columns."""
    columns = np.repeat(np.arange(len(grounds)), [round(SIDE * share) for _, _, share in grounds])
    level = np.array([colour for colour, _, _ in grounds])[columns].T[:, None]
    factor = np.random.default_rng(seed).normal(1, 0.1, (1, SIDE, SIDE)).clip(0.8, 1.2)
    dn = np.rint(level * factor).clip(1, 65535) + held_dn
    scl = np.tile([grounds[n][1] for n in columns], (SIDE, 1))
    return Sample(TEST_BANDS, dn.astype(np.uint16), scl.astype(np.uint8))


FARMLAND: tuple[Ground, ...] = (VEGETATION, SCL.VEGETATION, 0.5), (SOIL, SCL.NOT_VEGETATED, 0.5)
CLOUDY: tuple[Ground, ...] = (VEGETATION, SCL.VEGETATION, 0.1), (CLOUD, SCL.CLOUD_HIGH, 0.9)
LAKE: tuple[Ground, ...] = ((WATER, SCL.WATER, 1.0),)
DESERT: tuple[Ground, ...] = ((SAND, SCL.NOT_VEGETATED, 1.0),)
OVERCAST: tuple[Ground, ...] = ((CLOUD, SCL.CLOUD_HIGH, 1.0),)


@pytest.mark.parametrize("ground", [FARMLAND, CLOUDY, LAKE])
def test_dark_ground_tells(ground: tuple[Ground, ...]) -> None:
    assert offset_by_darkness(look(*ground)) == 0
    assert offset_by_darkness(look(*ground, held_dn=1000)) == -1000


def test_snow_without_the_offset_is_dark_at_2_micrometres() -> None:
    assert offset_by_darkness(look((SNOW, SCL.SNOW, 1.0))) == 0


@pytest.mark.parametrize(
    "ground",
    [
        DESERT,
        OVERCAST,
        ((CLOUD, SCL.SNOW, 1.0),),
        ((CLOUD, SCL.VEGETATION, 1.0),),
        ((ICE_CLOUD, SCL.SNOW, 1.0),),
    ],
    ids=["desert", "overcast", "cloud taken for snow", "cloud taken for land", "cloud of ice"],
)
@pytest.mark.parametrize("held_dn", [0, 1000])
def test_bright_ground_tells_nothing(ground: tuple[Ground, ...], held_dn: int) -> None:
    assert offset_by_darkness(look(*ground, held_dn=held_dn)) is None


def test_by_hand() -> None:
    """1000 pixels: the quantile 0.005 lies between the 5th and the 6th."""
    band = np.full((1, 25, 40), 2500, np.uint16)
    band[0, 0, :6] = 799
    scl = np.zeros((25, 40), np.uint8)
    assert offset_by_darkness(Sample(("B04",), band, scl)) == 0
    band[0, 0, 5] = 2500
    assert offset_by_darkness(Sample(("B04",), band, scl)) is None
    scl[:, 20:] = SCL.VEGETATION
    assert offset_by_darkness(Sample(("B04",), band, scl)) is None  # too bright for vegetation
    band[0, :, 20:] = 1400
    assert offset_by_darkness(Sample(("B04",), band, scl)) == -1000
    assert offset_by_darkness(Sample(("B08",), band, scl)) is None  # vegetation is not dark there


def test_no_data_and_few_pixels_tell_nothing() -> None:
    dn = np.zeros((3, SIDE, SIDE), np.uint16)
    scl = np.full((SIDE, SIDE), SCL.VEGETATION, np.uint8)
    assert offset_by_darkness(Sample(TEST_BANDS, dn, scl)) is None
    dn[:, 0, :] = 100  # 20 pixels
    assert offset_by_darkness(Sample(TEST_BANDS, dn, scl)) is None
    assert offset_by_continuity(Sample(TEST_BANDS, dn, scl), [(look(*FARMLAND), 0)]) is None


@pytest.mark.parametrize("held_dn", [0, 1000])
@pytest.mark.parametrize("other_dn", [0, 1000])
def test_the_same_sand_on_another_day_tells(held_dn: int, other_dn: int) -> None:
    sample = look(*DESERT, held_dn=held_dn, seed=1)
    other = look(*DESERT, held_dn=other_dn, seed=2)
    assert offset_by_continuity(sample, [(other, -other_dn)]) == -held_dn


def test_the_first_that_decides_is_the_last_one_asked() -> None:
    def others():
        yield look(*OVERCAST), 0
        yield look(*DESERT), 0
        raise AssertionError("one too many")

    assert offset_by_continuity(look(*DESERT, held_dn=1000), others()) == -1000


def test_neither_0_nor_1000_is_undecided() -> None:
    half = look(*DESERT, held_dn=500)
    assert offset_by_continuity(half, [(look(*DESERT), 0)]) is None
    assert offset_by_continuity(half, []) is None


def test_overcast_scene_asks_nobody() -> None:
    def others():
        raise AssertionError("asked")
        yield

    assert offset_by_continuity(look(*OVERCAST), others()) is None


grounds = st.sampled_from([FARMLAND, CLOUDY, LAKE, DESERT, OVERCAST])


@given(grounds, st.integers(0, 10_000), st.sampled_from([0, 1000]), st.sampled_from([0, 1000]))
def test_no_answer_is_wrong_on_these_grounds(
    ground: tuple[Ground, ...], seed: int, held_dn: int, other_dn: int
) -> None:
    sample = look(*ground, held_dn=held_dn, seed=seed)
    another_day = look(*ground, held_dn=other_dn, seed=seed + 1)
    assert offset_by_darkness(sample) in (-held_dn, None)
    assert offset_by_continuity(sample, [(another_day, -other_dn)]) in (-held_dn, None)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sits_data.bands import BANDS, DEFAULT_BANDS, find_asset, parse_bands
from sits_data.errors import MissingBand


def test_default_bands_are_the_ten_of_10_and_20_m() -> None:
    assert DEFAULT_BANDS == ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")


@pytest.mark.parametrize("name", ["B04", "b04", "B4", "b4", "red", "RED", "B04_10m", " B04 "])
def test_parse_bands_knows_every_spelling(name: str) -> None:
    assert parse_bands([name]) == ("B04",)


def test_b8_and_b8a_differ() -> None:
    assert parse_bands(["b8a", "b8"]) == ("B8A", "B08")
    assert parse_bands(["nir", "nir08", "nir09"]) == ("B08", "B8A", "B09")


@given(st.lists(st.sampled_from(list(BANDS)), unique=True, min_size=1), st.integers(0, 2))
def test_parse_bands_keeps_the_order(ids: list[str], spelling: int) -> None:
    assert parse_bands(BANDS[band].asset_keys()[spelling] for band in ids) == tuple(ids)


@pytest.mark.parametrize(
    ("names", "says"),
    [(["B10"], "unknown band 'B10'"), ([""], "unknown"), (["red", "B04"], "twice"), ([], "no band")],
)
def test_parse_bands_refuses(names: list[str], says: str) -> None:
    with pytest.raises(MissingBand, match=says):
        parse_bands(names)


def test_find_asset_takes_the_first_candidate() -> None:
    assert find_asset({"B04", "red"}, ("red", "B04")) == "red"
    assert find_asset({"green"}, ("red", "B04")) is None

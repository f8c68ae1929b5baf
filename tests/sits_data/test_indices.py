"""Spectral indices."""

import numpy as np
import pytest
import spyndex
import xarray as xr
from test_composite import DAYS, stack

from sits_data.bands import BANDS, DEFAULT_BANDS
from sits_data.errors import InvalidRequest, MissingBand
from sits_data.indices import find_indices, indices
from sits_data.indices.formulas import BAND_OF_SYMBOL


def test_numbers_are_decoded_before_the_formula():
    # Red 0.05 and infrared 0.45 are 1500 and 5500 in a cube; NDVI of these would be 0.57.
    cube = stack(["2020-01-01"], shape=(1, 1)).assign(qa=(("time", "y", "x"), np.zeros((1, 1, 1), "u1")))
    for values in (
        np.array([1300, 1500, 5500], np.uint16),
        np.array([0.03, 0.05, 0.45], np.float32),
    ):
        reflectance = (("time", "band", "y", "x"), values.reshape(1, 3, 1, 1))
        made = indices(cube.assign(reflectance=reflectance), ["NDVI", "evi"])
        assert made["NDVI"].item() == pytest.approx(0.8, abs=1e-5)
        assert made["EVI"].item() == pytest.approx(2.5 * 0.4 / (0.45 + 0.3 - 0.225 + 1), abs=1e-5)
        assert made["EVI"].attrs["constants"] == "g=2.5 C1=6 C2=7.5 L=1"


def test_unclear_dates_are_nan_unless_asked_for():
    cube = stack(DAYS)
    known = cube["reflectance"].notnull().all("band")
    clear = known & (cube["qa"] == 0)
    assert (indices(cube, ["NDVI"])["NDVI"].notnull() == clear).all()
    every = indices(cube, ["NDVI"], mask=None)["NDVI"].notnull()
    assert (every >= known).all()
    assert every.sum() > clear.sum()


def test_a_formula_without_a_value_gives_nan_not_infinity():
    (index,) = find_indices(["NDVI"], ["B04", "B08"], {})
    with np.errstate(all="raise"):
        got = index(np.array([0.1, 0.0], "f4"), np.array([-0.1, 0.0], "f4"))
    assert np.isnan(got).all()
    assert got.dtype == np.float32


def test_dask_gives_the_same():
    cube = stack(DAYS)
    lazy = indices(cube.chunk(time=1, y=3, x=4), ["NDVI", "SAVI"])
    assert lazy["NDVI"].chunks is not None
    xr.testing.assert_allclose(indices(cube, ["NDVI", "SAVI"]), lazy.compute())


def test_symbols_are_those_of_spyndex():
    for symbol, band in BAND_OF_SYMBOL.items():
        theirs = spyndex.bands[symbol].sentinel2a.band
        assert theirs.replace("B", "B0") == band if len(theirs) == 2 else theirs == band
        assert spyndex.bands[symbol].sentinel2a.wavelength == pytest.approx(
            BANDS[band].wavelength_nm, abs=1
        )


def test_every_index_of_spyndex_works_or_says_what_it_lacks():
    bands, reflectance = list(BANDS), np.full((2, 2), 0.2, np.float32)
    works = 0
    for name in spyndex.indices:
        try:
            (index,) = find_indices([name], bands, {})
        except InvalidRequest as error:
            assert name in str(error)  # noqa: PT017
            continue
        works += 1
        assert index(*(reflectance for _ in index.bands)).shape == (2, 2)
    assert works > 200


def test_constants_can_be_given():
    (usual,), (own,) = (find_indices(["SAVI"], DEFAULT_BANDS, c) for c in ({}, {"L": 0.5}))
    red, infrared = (np.full(1, value, np.float32) for value in (0.1, 0.4))
    layers = {"B04": red, "B08": infrared}
    got = own(*(layers[band] for band in own.bands))
    assert got.item() == pytest.approx(1.5 * 0.3 / (0.5 + 0.5))
    assert dict(usual.constants) == {"L": 1.0}


@pytest.mark.parametrize(
    ("names", "constants", "error", "says"),
    [
        ([], {}, InvalidRequest, "at least one index"),
        (["NDVY"], {}, InvalidRequest, "no index 'NDVY'; did you mean .*NDVI"),
        (["NDVI", "ndvi"], {}, InvalidRequest, "twice in NDVI, NDVI"),
        (["NDWI", "NDMI"], {}, MissingBand, "NDWI needs B03, B08, the cube lacks B03; .*B02,B03,B04"),
        (["CCI"], {}, InvalidRequest, "CCI needs G1, which Sentinel-2 does not measure"),
        (["NDVI"], {"L": 0.5}, InvalidRequest, "has a constant L; they have none"),
        (["EVI"], {"X": 0.5}, InvalidRequest, "has a constant X; they have C1, C2, L, g"),
    ],
)
def test_bad_names_are_refused(names, constants, error, says):
    with pytest.raises(error, match=says):
        find_indices(names, ["B02", "B04", "B08"], constants)

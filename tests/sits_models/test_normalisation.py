from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from sits_data import open_store
from sits_data.errors import InvalidRequest
from sits_data.store import PlanarStore
from sits_models.data.normalisation import Normalisation, fit_normalisation


def clear_values(store: PlanarStore, positions: list[int]) -> np.ndarray:
    """Reflectance (N, C) of what was clearly seen, region by region."""
    found = []
    for position in positions:
        pixels = store.region(position).pixels
        kept = store.clear(position) & (pixels != 0).all(-1)
        found.append(store.decode(pixels[kept]))
    return np.concatenate(found)


def test_affine_worked_by_hand() -> None:
    one = Normalisation(bands=("B04", "B08"), low=(0.0, 0.1), high=(0.2, 0.5))
    gain, bias = one.affine(1e-4, -0.1)
    assert gain.dtype == bias.dtype == np.float32
    # B04: DN 1000 is 0, the low end; DN 3000 is 0.2. B08: DN 4000 is 0.3, the middle.
    np.testing.assert_allclose(np.array([1000, 4000]) * gain + bias, [-1, 0], atol=1e-6)
    np.testing.assert_allclose(np.array([3000, 6000]) * gain + bias, [1, 1], atol=1e-6)


def test_percentiles_are_those_of_numpy(parcels: Path) -> None:
    store = open_store(parcels)
    chosen = [1, 4, 5, 9]
    fitted = fit_normalisation([store], [np.array(chosen)], percentiles=(2, 98))
    expected = np.percentile(clear_values(store, chosen), [2, 98], axis=0, method="inverted_cdf")
    np.testing.assert_allclose(fitted.low, expected[0], atol=1e-5)
    np.testing.assert_allclose(fitted.high, expected[1], atol=1e-5)
    assert fitted.bands == store.manifest.bands


def test_other_regions_and_chunks_do_not_matter(chips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(chips)
    some, all_of_them = np.array([3, 8, 20]), np.arange(len(store))
    one = fit_normalisation([store], [some])
    assert fit_normalisation([store], [all_of_them]) != one
    monkeypatch.setattr("sits_data.store.statistics._CHUNK_VALUES", 1)
    assert fit_normalisation([store], [some]) == one


def test_stores_are_taken_together(parcels: Path, chips: Path) -> None:
    stores = [open_store(parcels), open_store(chips)]
    chosen = [[0, 2], [1, 7]]
    fitted = fit_normalisation(stores, [np.array(one) for one in chosen])
    values = np.concatenate([clear_values(*one) for one in zip(stores, chosen, strict=True)])
    expected = np.percentile(values, [2, 98], axis=0, method="inverted_cdf")
    np.testing.assert_allclose([fitted.low, fitted.high], expected, atol=1e-5)


def test_constant_band_keeps_its_noise_small(monkeypatch: pytest.MonkeyPatch) -> None:
    store: Any = SimpleNamespace(
        manifest=SimpleNamespace(bands=("B04",), scale=1e-4, offset=-0.1), path=Path("flat.planar")
    )
    counts = np.zeros((1, 65536), np.int64)
    counts[0, 3000] = 10
    monkeypatch.setattr("sits_models.data.normalisation.count_values", lambda *_: counts)
    fitted = fit_normalisation([store], [np.array([0])])
    np.testing.assert_allclose([*fitted.low, *fitted.high], [0.195, 0.205])


def test_survives_json() -> None:
    one = Normalisation(bands=("B04",), low=(0.01,), high=(0.3,))
    assert Normalisation.model_validate_json(one.model_dump_json()) == one


def test_no_clear_observation(parcels: Path) -> None:
    with pytest.raises(InvalidRequest, match="no clear observation in 0 training regions"):
        fit_normalisation([open_store(parcels)], [np.array([], np.int64)])


def test_bands_differ(parcels: Path) -> None:
    store = open_store(parcels)
    other: Any = SimpleNamespace(manifest=SimpleNamespace(bands=("B04",)), path=Path("red.planar"))
    with pytest.raises(InvalidRequest, match=r"share their bands, red\.planar has B04 and"):
        fit_normalisation([store, other], [np.array([0])] * 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Normalisation(bands=("B04",), low=(), high=(1.0,)), "of one length, got 1, 0 and 1"),
        (lambda: Normalisation(bands=("B04",), low=(0.3,), high=(0.3,)), "B04 has 0.3 and 0.3"),
    ],
)
def test_bad_values(make: Callable[[], Normalisation], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make()

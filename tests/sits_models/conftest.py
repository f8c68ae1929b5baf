import logging
from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from checkpoints import write_backbone
from simulated import build_field

from sits_data import planarize
from sits_data.store import Chips, ColumnLabels, Parcels, RasterLabels, Recipe

ALIKE = {1120: 1110, 1210: 1200}  # spelt is like wheat, sorghum like maize


@pytest.fixture(autouse=True)
def own_messages() -> Iterator[None]:
    """What a command sets up to show its messages is gone after a test."""
    log = logging.getLogger("sits_models")
    before = log.level, log.propagate, list(log.handlers)
    yield
    log.level, log.propagate, log.handlers = before


@pytest.fixture(scope="session")
def land(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small catalogue and its cube `field.zarr`."""
    folder = tmp_path_factory.mktemp("land")
    build_field(folder, size_px=96, dates=16)
    return folder


@pytest.fixture(scope="session")
def parcels(land: Path) -> Path:
    recipe = Recipe(
        regions=Parcels(path=str(land / "catalogue/parcels.gpkg")),
        labels=ColumnLabels(field="crop_code"),
    )
    return planarize(land / "field.zarr", land / "parcels.planar", recipe=recipe).out


@pytest.fixture(scope="session")
def chips(land: Path) -> Path:
    raster = land / "catalogue/truth/classes_2022.tif"
    recipe = Recipe(regions=Chips(size_px=16), labels=RasterLabels(path=str(raster)), orders=("snake",))
    return planarize(land / "field.zarr", land / "chips.planar", recipe=recipe).out


@pytest.fixture(scope="session")
def unlabelled(land: Path) -> Path:
    recipe = Recipe(regions=Parcels(path=str(land / "catalogue/parcels.gpkg")))
    return planarize(land / "field.zarr", land / "unlabelled.planar", recipe=recipe).out


@pytest.fixture(scope="session")
def one_class(land: Path) -> Path:
    """Parcels that all have one label."""
    fields = gpd.read_file(land / "catalogue/parcels.gpkg").assign(crop_code=7)
    fields.to_file(land / "one_class.gpkg")
    recipe = Recipe(
        regions=Parcels(path=str(land / "one_class.gpkg")), labels=ColumnLabels(field="crop_code")
    )
    return planarize(land / "field.zarr", land / "one_class.planar", recipe=recipe).out


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a very small backbone whose pretraining saw `parcels.planar`."""
    return write_backbone(tmp_path_factory.mktemp("checkpoint") / "tiny", seen=("parcels.planar",))


@pytest.fixture(scope="session")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parcels that have another crop in the second year, or the same, or one that looks the same.

    Column `changed` says which; `changed_in_2021` that nothing did, of all but the first five parcels.
    """
    folder = tmp_path_factory.mktemp("changing")
    build_field(folder, size_px=180, dates=48)
    fields = gpd.read_file(folder / "catalogue/parcels.gpkg")
    before, after = (fields[f"crop_code_{year}"].replace(ALIKE) for year in (2021, 2022))
    fields["changed"] = (before != after).astype(int)
    fields["changed_in_2021"] = np.where(np.arange(len(fields)) < 5, np.nan, 0)
    fields.to_file(folder / "fields.gpkg")
    recipe = Recipe(
        regions=Parcels(path=str(folder / "fields.gpkg")), labels=ColumnLabels(field="changed")
    )
    return planarize(folder / "field.zarr", folder / "field.planar", recipe=recipe).out

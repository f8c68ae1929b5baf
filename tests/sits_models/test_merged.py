"""Merged stores: regions of many cubes in one batch, each with its own dates."""

from datetime import date, timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import torch
from test_pretrain import TINY

from sits_data.aoi import features_of
from sits_data.errors import InvalidRequest
from sits_data.fields import build_fields
from sits_data.grid import cube_grid
from sits_data.manifest import ColumnLabels, Features, Parcels, Recipe
from sits_data.plan import Request
from sits_data.store import open_parts, planarize_all
from sits_data.store.merge import find_cubes
from sits_models.bench.design import Design
from sits_models.checkpoint import read_card
from sits_models.contract import collate
from sits_models.data.datamodule import PlanarDataModule
from sits_models.data.planar import PlanarDataset
from sits_models.data.residence import join_tables, open_table
from sits_models.data.stores import open_groups
from sits_models.fit.pretraining import pretrain
from sits_models.ops.gather import planar_batch
from sits_models.probe import probe
from sits_models.views.planar import View, draw

FIELDS = 12


@pytest.fixture(scope="module")
def cubes(land: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cubes of twelve fields; every second one knows some months less."""
    folder = tmp_path_factory.mktemp("fields")
    area = gpd.read_file(land / "catalogue/parcels.gpkg").iloc[:FIELDS]
    area.to_file(folder / "fields.gpkg")
    requests = [
        Request(
            catalog=str(land / "catalogue/catalog.json"),
            collection="sentinel-2-l2a",
            start=date(2021, 1, 1) + timedelta(days=200 * (feature.id % 2)),
            end=date(2022, 12, 31),
            bands=("B02", "B03", "B04", "B08"),
            grid=cube_grid(area.iloc[[feature.id]], 10),
            features=(feature,),
        )
        for feature in features_of(area)
    ]
    build_fields(requests, folder / "cubes")
    return folder


@pytest.fixture(scope="module")
def merged(cubes: Path) -> Path:
    planarize_all(find_cubes([cubes / "cubes"]), cubes / "m.planar", recipe=Recipe(regions=Features()))
    return cubes / "m.planar"


def test_joined_tables_say_what_each_store_says(merged: Path) -> None:
    parts = open_parts(merged)
    assert len({len(part.dates) for part in parts}) == 2
    for resident in ("always", "never"):
        table = join_tables(parts, resident=resident)  # type: ignore[arg-type]
        assert len(table) == FIELDS
        assert table.region_id.tolist() == list(range(FIELDS))
        for number, part in enumerate(parts):
            alone = open_table(part)
            dates = len(part.dates)
            assert table.dates[number, :dates].tolist() == part.dates.tolist()
            assert int(table.dated[number]) == dates
            shares = table.clear_share[number]
            assert torch.equal(shares[:dates], alone.clear_share[0])
            assert not shares[dates:].any()
            rows = slice(int(table.first_row[number]), int(table.first_row[number] + table.size[number]))
            assert torch.equal(table.spectra[rows], alone.spectra)
            assert torch.equal(table.curve("spiral")[rows], alone.curve("spiral"))
            assert torch.equal(table.centre[number], alone.centre[0])


def test_a_batch_of_several_parts_is_each_parts_own(merged: Path) -> None:
    parts, table = open_parts(merged), join_tables(open_parts(merged), resident="never")
    regions = torch.tensor([7, 2, 3])
    index = torch.tensor([[0, 1, 2], [3, -1, 0], [1, 1, -1]])
    batch = planar_batch(table, regions, index)
    for number, region in enumerate(regions.tolist()):
        alone = planar_batch(open_table(parts[region]), torch.tensor([0]), index[number : number + 1])
        dates = alone["image"].shape[2]
        assert int(batch["length"][number]) == dates
        assert torch.equal(batch["image"][number, :, :dates], alone["image"][0])
        assert torch.equal(batch["clear"][number, :dates], alone["clear"][0])
        assert torch.equal(batch["dates"][number, :dates], alone["dates"][0])
        assert not batch["image"][number, :, dates:].any()
        assert not batch["pad_mask"][number, dates:].any()
    samples = PlanarDataset(merged)
    assert len(samples) == FIELDS
    padded = collate([samples[0], samples[1]])
    assert padded["length"].tolist() == [len(parts[0].dates), len(parts[1].dates)]


def test_batches_cross_the_parts_and_stay_in_a_year(merged: Path) -> None:
    data = PlanarDataModule(str(merged), split="none", batch_size=5)
    data.setup("fit")
    assert len(data.tables) == 1
    batches = list(data.train_dataloader())
    assert [len(batch) for batch in batches] == [5] * len(batches)
    for batch in batches:
        assert batch.window is not None
        first, stop = batch.window
        for view in draw(batch, View(6, 3, apart=True), 0), draw(batch, View(6, 3, span="window"), 4):
            days = view["dates"][view["pad_mask"]]
            assert ((days >= first) & (days < stop)).all()
            assert view["pad_mask"][:, 0].all()
            for row, real in zip(view["dates"], view["pad_mask"], strict=True):
                assert (row[real].diff() > 0).all()
    assert len({tuple(batch.window or ()) for batch in batches}) == 2


def test_parts_of_another_zone_are_another_table(merged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sits_models.data.stores as stores_module

    parts = list(open_parts(merged))
    grid = parts[3].manifest.grid.model_copy(update={"crs": "EPSG:32633"})
    manifest = parts[3].manifest.model_copy(update={"grid": grid})
    parts[3] = type(parts[3])(parts[3].path, manifest, parts[3].dates, parts[3].regions)
    monkeypatch.setattr(stores_module, "open_parts", lambda _: tuple(parts))
    assert [len(group) for group in open_groups(merged)] == [FIELDS - 1, 1]


def test_a_method_learns_from_a_merged_store(merged: Path, tmp_path: Path) -> None:
    words = [f"--data.root={merged}", *TINY, "--data.batch_size=6", "--trainer.max_steps=4"]
    done = pretrain(words, tmp_path / "run")
    assert done.regions == FIELDS
    card = read_card(done.out)
    assert card.seen == ("m.planar",)
    assert (card.data[0]["store"], card.data[0]["regions"]) == ("m.planar", FIELDS)
    assert card.data[0]["sources"]["parts"] == FIELDS  # type: ignore[index,call-overload]
    with pytest.raises(InvalidRequest, match=r"one store is judged at a time, got 12 .* and 9 more"):
        probe(done.out, merged, tmp_path / "probe", design=Design.given({"seed": 0}))


def test_labels_of_parts_are_those_of_the_file(cubes: Path) -> None:
    recipe = Recipe(
        regions=Parcels(path=str(cubes / "fields.gpkg")), labels=ColumnLabels(field="crop_code")
    )
    planarize_all(find_cubes([cubes / "cubes"]), cubes / "l.planar", recipe=recipe)
    fields = gpd.read_file(cubes / "fields.gpkg")
    data = PlanarDataModule(str(cubes / "l.planar"), split="blocks", fold=None)
    data.setup("fit")
    (table,) = data.tables
    ids = [i for part in open_parts(cubes / "l.planar") for i in part.regions["id"].to_pylist()]
    codes = [data.classes[label].code for label in table.label.tolist()]
    assert codes == fields["crop_code"].iloc[ids].tolist()
    assert np.isfinite(data.normalisation.low).all()  # type: ignore[union-attr]

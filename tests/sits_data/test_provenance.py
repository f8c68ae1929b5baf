"""STAC items: valid, loadable, exact, and their checksums those of the bytes."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pyproj
import pystac
import pytest
import rasterio
import xarray as xr
from installed import Run
from pystac.errors import STACValidationError
from pystac.validation import validate
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from tiny_catalogue import GRID, daily, request, write_catalogue

from sits_data.build import build_cube
from sits_data.cube import open_raw
from sits_data.manifest import Chips, Recipe
from sits_data.provenance import item_file, write_cube_item, write_store_item
from sits_data.provenance.checksum import combine, folder_digests, multihash
from sits_data.store import planarize

SOUTH = GRID.model_copy(update={"crs": "EPSG:32721", "bottom": 6131940, "top": 6132120})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A cube of three days and its store, each with an item."""
    folder = tmp_path_factory.mktemp("made")
    catalog = write_catalogue(folder / "catalogue", daily(3))
    cube = build_cube(request(catalog), folder / "c.zarr").path
    write_cube_item(cube)
    planarize(cube, folder / "c.planar", recipe=Recipe(regions=Chips(size_px=6)))
    return folder


@pytest.fixture(params=["c.zarr", "c.planar"])
def item(request, made) -> pystac.Item:
    return pystac.Item.from_file(item_file(made / request.param).as_posix())


class Offline(JsonSchemaSTACValidator):
    """pystac's validator with what lies on this machine, and never the network."""

    def __init__(self, schemas: Path | None) -> None:
        super().__init__()
        projjson = json.loads((Path(pyproj.datadir.get_data_dir()) / "projjson.schema.json").read_text())
        for version in ("v0.4", "v0.7"):
            self.schema_cache[f"https://proj.org/schemas/{version}/projjson.schema.json"] = projjson
        for file in schemas.rglob("schema.json") if schemas else ():
            self.schema_cache[f"https://{file.relative_to(schemas)}"] = json.loads(file.read_text())

    def _get_schema(self, schema_uri: str) -> dict:
        assert schema_uri in self.schema_cache, f"{schema_uri} is not on this machine"
        return self.schema_cache[schema_uri]


def test_item_is_valid_stac(item):
    validator = Offline(None)
    content = item.to_dict()
    core = validator.validate_core(content, pystac.STACObjectType.ITEM, "1.1.0")
    assert core.endswith("v1.1.0/item-spec/json-schema/item.json")
    content["properties"]["start_datetime"] = "yesterday"
    with pytest.raises(STACValidationError):
        validator.validate_core(content, pystac.STACObjectType.ITEM, "1.1.0")


def test_item_is_valid_under_its_extensions(item):
    if "SITS_STAC_SCHEMAS" not in os.environ:
        pytest.skip("the extensions' schemas are not here; docs/provenance.md says how to get them")
    validator = Offline(Path(os.environ["SITS_STAC_SCHEMAS"]))
    assert len(validate(item, validator=validator)) == 1 + len(item.stac_extensions) == 5
    for name, wrong in (("cube:dimensions", {"x": 1}), ("proj:shape", [1]), ("processing:software", 1)):
        with pytest.raises(STACValidationError):
            validate(
                pystac.Item.from_dict(item.to_dict() | {"properties": item.properties | {name: wrong}}),
                validator=validator,
            )


def test_extensions_are_there(item):
    assert item.ext.proj.code == "EPSG:32631"
    assert item.ext.proj.transform == [10, 0, 600000, 0, -10, 5640000]
    assert item.ext.proj.shape == [18, 12]
    assert item.ext.cube.dimensions["time"].extent == ["2020-01-01T00:00:00Z", "2020-01-03T00:00:00Z"]
    assert item.ext.cube.dimensions["band"].values == ["B04", "B11"]
    assert "sits-data" in item.properties["processing:software"]
    assert item.assets["data"].ext.file.size > 0


def test_item_names_what_it_was_derived_from(item, made):
    scenes = [f"S2A_31UFS_2020010{day}_0_L2A" for day in (1, 2, 3)]
    links = item.get_links("derived_from")
    assert [link.title for link in links][-3:] == scenes
    for link in links:
        assert pystac.Item.from_file(link.href).id in {*scenes, "c.zarr"}
    assert len(links) == (4 if item.id == "c.planar" else 3)


def test_assets_are_where_it_says(item, made):
    for asset in item.assets.values():
        assert Path(asset.get_absolute_href()).exists()


def test_checksum_is_that_of_a_shell(item, made):
    command = "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum"
    folder = item.assets["data"].get_absolute_href()
    shell = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=True
    )
    assert item.assets["data"].ext.file.checksum == "1220" + shell.stdout.split()[0]


def test_checksum_tells_a_changed_byte(made, tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/c").write_bytes(b"")
    digests = folder_digests(tmp_path)
    assert digests["a"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert list(digests) == ["a", "b/c"] or list(digests) == ["b/c", "a"]
    before = combine(digests)
    (tmp_path / "b/c").write_bytes(b"\0")
    assert combine(folder_digests(tmp_path)) != before
    assert multihash("00" * 32) == "1220" + "00" * 32


def test_manifest_of_a_store_has_its_checksum(made):
    item = pystac.Item.from_file(item_file(made / "c.planar").as_posix())
    digests = folder_digests(made / "c.planar")
    assert item.assets["manifest"].ext.file.checksum == multihash(digests["manifest.json"])
    assert item.assets["regions"].ext.file.checksum == multihash(digests["regions.parquet"])


@pytest.mark.parametrize("grid", [GRID, SOUTH], ids=["north", "south"])
def test_georeferencing_is_exact_for_every_reader(grid, tmp_path):
    products = [replace(product, grid=grid) for product in daily(1)]
    plan = request(write_catalogue(tmp_path / "catalogue", products), grid)
    cube = build_cube(plan, tmp_path / "c.zarr").path
    item = pystac.Item.from_file(write_cube_item(cube).as_posix())
    dataset, expected = xr.open_zarr(cube), grid.geobox.transform
    assert tuple(item.ext.proj.transform) == tuple(expected)[:6]
    assert (item.ext.proj.code, str(open_raw(cube).geobox.crs)) == (grid.crs, grid.crs)
    x, y = item.ext.cube.dimensions["x"], item.ext.cube.dimensions["y"]
    assert x.extent == [dataset["x"].values[0], dataset["x"].values[-1]]
    assert y.extent == [dataset["y"].values[-1], dataset["y"].values[0]]
    assert (x.step, y.step, x.reference_system) == (10, -10, int(grid.crs[5:]))
    centres = [expected * (column + 0.5, row + 0.5) for column, row in ((0, 0), (11, 17))]
    assert centres == [(float(dataset["x"][i]), float(dataset["y"][i])) for i in (0, -1)]
    with rasterio.open(f'ZARR:"{cube}":/reflectance:0:1') as raster:
        assert raster.crs == rasterio.CRS.from_string(grid.crs)
        assert tuple(raster.transform) == tuple(expected)
        assert (raster.read(1) == open_raw(cube).read("reflectance", (0, 1))).all()


def test_nothing_is_added_to_the_zarr_group(made):
    names = {path.name for path in (made / "c.zarr").iterdir()}
    assert names == {"zarr.json", *(name for name, _ in open_raw(made / "c.zarr").group.arrays())}


def test_command_writes_an_item_anew(made, sits_data: Run):
    for path, options in (("c.zarr", []), ("c.planar", ["--made-from", made / "c.zarr"])):
        file = item_file(made / path)
        before = json.loads(file.read_text())
        file.unlink()
        run = sits_data("item", made / path, *options)
        assert run.returncode == 0, run.stderr
        assert run.stdout.strip() == str(file)
        after = json.loads(file.read_text())
        assert after["properties"].pop("created") >= before["properties"].pop("created")
        assert after == before
        shown = sits_data("info", made / path)
        assert str(file) in shown.stdout
    assert sits_data("item", made / "c.planar").returncode == 2
    nothing = sits_data("item", made)
    assert nothing.returncode == 1
    assert "neither a cube nor a planar store" in nothing.stderr


def test_a_scene_without_an_address_is_named_all_the_same(made, tmp_path):
    cube = build_cube(request(made / "catalogue/catalog.json"), tmp_path / "c.zarr").path
    (tmp_path / "c.zarr.state/plan.json").unlink()
    (tmp_path / "c.zarr.item.json").unlink()
    item = pystac.Item.from_file(write_cube_item(cube).as_posix())
    assert item.get_links("derived_from") == []
    assert len(item.properties["sits:scenes"]) == 3
    assert "plan" not in item.assets


def test_store_item_can_be_written_by_itself(made):
    assert write_store_item(made / "c.planar", cube=made / "c.zarr") == made / "c.planar.item.json"

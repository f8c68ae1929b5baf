"""One cube a feature, and one merged store of many cubes."""

import json
import shutil
import subprocess

import geopandas as gpd
import numpy as np
import pytest
import shapely
from click.testing import CliRunner
from installed import COMMAND
from tiny_catalogue import Product, daily, request, write_catalogue

from sits_data.aoi import features_of
from sits_data.build import build_cube
from sits_data.cli import main
from sits_data.cube import open_raw
from sits_data.errors import (
    CatalogError,
    DamagedStore,
    InvalidAOI,
    InvalidRequest,
    NotACube,
    NotAStore,
    OutputExists,
    UnfinishedFields,
)
from sits_data.export import Curve, export
from sits_data.fields import build_fields, field_request
from sits_data.grid import Grid, cube_grid
from sits_data.manifest import Chips, ColumnLabels, Features, Parcels, Recipe
from sits_data.mask import QA
from sits_data.store import open_parts, open_store, planarize, planarize_all, verify_store
from sits_data.store.merge import find_cubes

WIDE = Grid(crs="EPSG:32631", resolution_m=10, left=600000, bottom=5629260, right=610740, top=5640000)
"""1074 rows and columns: 3 x 3 blocks."""


def _area(*shapes):
    return gpd.GeoDataFrame(geometry=list(shapes), crs="EPSG:32631")


SMALL = _area(
    shapely.box(600005, 5639850, 600055, 5639930),
    shapely.box(600060, 5639900, 600110, 5639990),
    shapely.Point(600060, 5639860).buffer(30),
)


def _requests(catalog, area, **fields):
    base = request(catalog, WIDE, **fields)
    return [
        field_request(
            base.model_copy(update={"grid": cube_grid(area.iloc[[i]], 10), "features": (feature,)})
        )
        for i, feature in enumerate(features_of(area))
    ]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    return write_catalogue(tmp_path_factory.mktemp("tiny"), daily(4))


@pytest.fixture(scope="module")
def fields(catalog, tmp_path_factory):
    """A folder with three cubes."""
    folder = tmp_path_factory.mktemp("built") / "fields"
    build_fields(_requests(catalog, SMALL), folder)
    return folder


def test_each_feature_gets_a_cube_like_the_one_of_its_own_area(catalog, fields, tmp_path):
    assert sorted(path.name for path in fields.glob("*.zarr")) == [
        *("00000.zarr", "00001.zarr", "00002.zarr")
    ]
    for number, asked in enumerate(_requests(catalog, SMALL)):
        alone = open_raw(build_cube(asked, tmp_path / f"{number}.zarr").path)
        cube = open_raw(fields / f"{number:05d}.zarr")
        assert cube.geobox == alone.geobox
        for name in ("reflectance", "scl", "qa", "time"):
            assert np.array_equal(cube.read(name), alone.read(name))
        assert cube.aoi.index.tolist() == [number]
        drawn = cube.aoi.to_crs("EPSG:32631").geometry.iloc[0]
        assert drawn.symmetric_difference(SMALL.geometry.iloc[number]).area < 1e-3


def test_blocks_that_a_feature_does_not_touch_are_not_read(tmp_path):
    product = Product(grid=WIDE)
    catalog = write_catalogue(tmp_path / "c", [product])
    corner = shapely.union_all(
        [shapely.box(600010, 5629300, 600200, 5639900), shapely.box(600010, 5639800, 610700, 5639900)]
    )
    (asked,) = _requests(catalog, _area(corner))
    assert asked.blocks == ((0, 0), (0, 1), (0, 2), (1, 0), (2, 0))
    result = build_fields([asked], tmp_path / "fields")
    assert [cube.units for cube in result.cubes] == [5]
    cube = open_raw(tmp_path / "fields/00000.zarr")
    not_read = cube.read("qa", 0) == QA.NOT_READ
    assert not_read[512:, 512:].all()
    assert not not_read[:512].any()
    assert not not_read[:, :512].any()
    assert not (tmp_path / "fields/00000.zarr/reflectance/c/0/0/1/1").exists()
    # What was never asked for is not counted as unclear.
    inside = ~not_read
    clear = (cube.read("qa", 0)[inside] == 0).mean()
    assert cube.clear_fraction("standard")[0] == pytest.approx(clear)
    again = build_fields([asked], tmp_path / "fields")
    assert [cube.resumed for cube in again.cubes] == [5]


def test_the_command_builds_resumes_and_names_what_failed(catalog, tmp_path):
    area = _area(*SMALL.geometry, shapely.box(640000, 5639850, 640055, 5639930))  # no scene there
    area.to_file(tmp_path / "fields.gpkg")
    command = ["build-cube", "--aoi", str(tmp_path / "fields.gpkg"), "--catalog", str(catalog)]
    command += ["--start", "2020-01-01", "--end", "2020-01-31", "--bands", "B04,B11", "--per-feature"]
    command += ["--out", str(tmp_path / "out"), "--json"]
    first = CliRunner().invoke(main, command)
    assert first.exit_code == 4
    assert "1 of 4 cubes could not be built" in first.stderr
    summary = json.loads(first.stdout)
    assert (summary["cubes"], summary["units"], summary["units_resumed"]) == (3, 12, 0)
    assert "no scenes found" in summary["failed"]["3"]
    second = json.loads(CliRunner().invoke(main, command).stdout)
    assert second["units_resumed"] == 12


def test_a_killed_run_goes_on(catalog, fields, tmp_path):
    SMALL.to_file(tmp_path / "fields.gpkg")
    command = [str(COMMAND), "build-cube", "--aoi", str(tmp_path / "fields.gpkg")]
    command += ["--catalog", str(catalog), "--start", "2020-01-01", "--end", "2020-12-31"]
    command += ["--bands", "B04,B11", "--per-feature", "--out", str(tmp_path / "out"), "--threads", "1"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if (tmp_path / "out/00001.zarr").exists():
                process.kill()
                break
    subprocess.run(command, check=True, capture_output=True)
    for number in range(3):
        ours, theirs = (folder / f"{number:05d}.zarr" for folder in (tmp_path / "out", fields))
        assert open_raw(ours).attributes["status"] == "complete"
        for name in ("reflectance", "scl", "qa"):
            assert np.array_equal(open_raw(ours).read(name), open_raw(theirs).read(name))


def test_what_is_no_folder_of_cubes(catalog, fields, tmp_path):
    asked = _requests(catalog, SMALL)
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", fields / "00000.zarr"):
        with pytest.raises(OutputExists, match="is not a folder of cubes"):
            build_fields(asked, place)
    changed = [one.model_copy(update={"bands": ("B04",)}) for one in asked]
    with pytest.raises(UnfinishedFields, match=r"none of 3 cubes could be built: .*another request"):
        build_fields(changed, fields)
    away = [one.model_copy(update={"catalog": str(tmp_path / "none.json")}) for one in asked]
    with pytest.raises(CatalogError):
        build_fields(away, tmp_path / "new")


def test_each_polygon_of_the_area_is_a_region(catalog, tmp_path):
    box = SMALL.total_bounds
    asked = request(catalog, cube_grid(SMALL, 10)).model_copy(update={"features": features_of(SMALL)})
    cube = build_cube(asked, tmp_path / "c.zarr").path
    planarize(cube, tmp_path / "own", recipe=Recipe(regions=Features()))
    SMALL.to_file(tmp_path / "fields.gpkg")
    parcels = Parcels(path=str(tmp_path / "fields.gpkg"))
    planarize(cube, tmp_path / "named", recipe=Recipe(regions=parcels))
    own, named = open_store(tmp_path / "own"), open_store(tmp_path / "named")
    assert own.regions["id"].to_pylist() == named.regions["id"].to_pylist() == [0, 1, 2]
    for index in range(3):
        assert np.array_equal(own.region(index).yx, named.region(index).yx)
    assert np.allclose(own.to_geopandas().total_bounds, box, atol=1e-3)


def test_a_merged_store_is_its_parts(fields, tmp_path):
    recipe = Recipe(regions=Features(), orders=("hilbert",))
    done = planarize_all(find_cubes([fields]), tmp_path / "m.planar", recipe=recipe)
    assert (done.parts, done.regions, done.dates, done.empty) == (3, 3, (4, 4), {})
    parts = open_parts(tmp_path / "m.planar")
    assert [part.regions["id"].to_pylist() for part in parts] == [[0], [1], [2]]
    for number, part in enumerate(parts):
        planarize(fields / f"{number:05d}.zarr", tmp_path / f"{number}.planar", recipe=recipe)
        alone = open_store(tmp_path / f"{number}.planar")
        assert part.manifest.files == alone.manifest.files
    assert verify_store(tmp_path / "m.planar") == 3 * (1 + len(parts[0].manifest.files))
    assert done.pixels == sum(part.manifest.pixels for part in parts)
    with pytest.raises(NotAStore, match=r"is a merged store, .* such as .*/m.planar/00000"):
        open_store(tmp_path / "m.planar")
    info = CliRunner().invoke(main, ["info", str(tmp_path / "m.planar"), "--json"])
    assert json.loads(info.stdout)["parts"] == 3


def test_verify_names_the_file_that_changed(fields, tmp_path):
    planarize_all(find_cubes([fields]), tmp_path / "m", recipe=Recipe(regions=Features()))
    ok = CliRunner().invoke(main, ["verify", str(tmp_path / "m")])
    assert ok.exit_code == 0
    qa = tmp_path / "m/00001/qa-00000.npy"
    qa.write_bytes(qa.read_bytes()[:-1] + b"\x7f")
    bad = CliRunner().invoke(main, ["verify", str(tmp_path / "m")])
    assert bad.exit_code == 1
    assert "00001/qa-00000.npy differs from its sha256" in bad.stderr
    manifest = tmp_path / "m/00002/manifest.json"
    manifest.write_text(manifest.read_text().replace('"mask": "standard"', '"mask": "strict"'))
    with pytest.raises(DamagedStore, match=r"00002/manifest.json differs"):
        verify_store(tmp_path / "m")


def test_cubes_without_a_region_make_no_part_and_are_named(fields, tmp_path):
    SMALL.iloc[:1].to_file(tmp_path / "one.gpkg")
    recipe = Recipe(regions=Parcels(path=str(tmp_path / "one.gpkg"), min_pixels=20))
    done = planarize_all(find_cubes([fields]), tmp_path / "m", recipe=recipe)
    assert done.parts == 1
    assert sorted(done.empty) == [str(fields / f"0000{number}.zarr") for number in (1, 2)]
    far = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:32631")
    far.to_file(tmp_path / "far.gpkg")
    with pytest.raises(InvalidAOI, match="none of 1 regions is in one of 3 cubes"):
        planarize_all(
            find_cubes([fields]),
            tmp_path / "none",
            recipe=Recipe(regions=Parcels(path=str(tmp_path / "far.gpkg"))),
        )
    assert not (tmp_path / "none").exists()


def test_a_parcel_is_in_one_part_only(fields, tmp_path):
    SMALL.assign(crop=[3, 4, 3]).to_file(tmp_path / "all.gpkg")
    recipe = Recipe(regions=Parcels(path=str(tmp_path / "all.gpkg")), labels=ColumnLabels(field="crop"))
    done = planarize_all(find_cubes([fields]), tmp_path / "m", recipe=recipe)
    ids = [id_ for part in open_parts(tmp_path / "m") for id_ in part.regions["id"].to_pylist()]
    assert sorted(ids) == [0, 1, 2]
    assert done.classes == {"3": 2, "4": 1}
    own = planarize_all(find_cubes([fields]), tmp_path / "own", recipe=Recipe(regions=Features()))
    assert done.pixels == own.pixels


def test_cubes_that_do_not_fit_together(catalog, fields, tmp_path):
    with pytest.raises(NotACube, match="is neither a cube nor a folder of cubes"):
        find_cubes([fields, tmp_path])
    with pytest.raises(InvalidRequest, match="each cube may be named once"):
        find_cubes([fields, fields / "00001.zarr"])
    asked = request(catalog, cube_grid(SMALL, 10)).model_copy(update={"bands": ("B04",)})
    other = build_cube(asked, tmp_path / "b04.zarr").path
    with pytest.raises(InvalidRequest, match=r"cubes must have the same bands"):
        planarize_all([fields / "00000.zarr", other], tmp_path / "m", recipe=Recipe(regions=Features()))


def test_an_interrupted_merge_keeps_its_finished_parts(fields, tmp_path, monkeypatch):
    import sits_data.store.merge as merge_module

    recipe = Recipe(regions=Chips(size_px=4))
    cubes, written = find_cubes([fields]), []

    def write(cube, out, **settings):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(cube.name)
        return planarize(cube, out, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(merge_module, "planarize", write)
        with pytest.raises(KeyboardInterrupt):
            planarize_all(cubes, tmp_path / "m", recipe=recipe, threads=1)
    assert not (tmp_path / "m").exists()
    again = []
    with monkeypatch.context() as patch:
        patch.setattr(
            merge_module,
            "planarize",
            lambda cube, out, **settings: again.append(cube.name) or planarize(cube, out, **settings),
        )
        planarize_all(cubes, tmp_path / "m", recipe=recipe, threads=1)
    assert again == ["00002.zarr"]
    assert verify_store(tmp_path / "m")
    assert [file.name for file in tmp_path.iterdir()] == ["m"]


def test_a_cube_without_labels_does_not_stop_the_others(fields, tmp_path):
    SMALL.assign(crop=["a", None, "b"]).to_file(tmp_path / "crops.gpkg")
    labelled = Recipe(
        regions=Parcels(path=str(tmp_path / "crops.gpkg")), labels=ColumnLabels(field="crop")
    )
    done = planarize_all(find_cubes([fields]), tmp_path / "m", recipe=labelled)
    assert (done.parts, done.classes) == (2, {"a": 1, "b": 1})
    assert "null everywhere" in done.empty[str(fields / "00001.zarr")]
    large = Recipe(regions=Chips(size_px=12, min_pixels=100))
    done = planarize_all(find_cubes([fields]), tmp_path / "l", recipe=large)
    assert done.parts + len(done.empty) == 3
    assert done.empty


def test_regions_in_no_cube_are_counted(fields, tmp_path):
    far = shapely.box(700000, 5639850, 700055, 5639930)
    _area(*SMALL.geometry, far).to_file(tmp_path / "all.gpkg")
    recipe = Recipe(regions=Parcels(path=str(tmp_path / "all.gpkg")))
    done = planarize_all(find_cubes([fields]), tmp_path / "m", recipe=recipe)
    assert done.dropped == {"outside every cube": 1}
    assert json.loads((tmp_path / "m/manifest.json").read_text())["outside"] == [3]


def test_merged_stores_that_are_damaged(fields, tmp_path):
    planarize_all(find_cubes([fields]), tmp_path / "m", recipe=Recipe(regions=Features()))
    manifest = tmp_path / "m/manifest.json"
    content = json.loads(manifest.read_text())
    for parts, message in [
        ([], "at least 1 item"),
        ([content["parts"][0]] * 2, "a part is named twice"),
        ([content["parts"][0] | {"regions": 7}], r"m/00000 is not what .* says"),
    ]:
        manifest.write_text(json.dumps(content | {"parts": parts}))
        with pytest.raises(DamagedStore, match=message):
            verify_store(tmp_path / "m")
    manifest.write_text(json.dumps(content))
    shutil.rmtree(tmp_path / "m/00001")
    with pytest.raises(DamagedStore, match=r"00001/manifest.json is missing"):
        verify_store(tmp_path / "m")


def test_a_merged_store_is_exported_part_by_part(fields, tmp_path):
    planarize_all(find_cubes([fields]), tmp_path / "m", recipe=Recipe(regions=Features()))
    done = export(tmp_path / "m", tmp_path / "out", curve=Curve("snake"))
    assert (done.regions, done.images) == (3, 3)
    about = json.loads((tmp_path / "out/export.json").read_text())
    assert about["parts"] == dict.fromkeys(("00000", "00001", "00002"), "written")
    for number, part in enumerate(open_parts(tmp_path / "m")):
        own = json.loads((tmp_path / f"out/0000{number}/export.json").read_text())
        assert own["black"] == about["black"]
        with np.load(tmp_path / f"out/0000{number}/region-00000{number}.npz") as found:
            assert np.array_equal(found["image"][0], part.planar_image(0, "snake"))

import hashlib
import json
import pickle
import resource
import shutil
import subprocess
import sys

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from installed import COMMAND
from made_up_cube import BANDS, DATES, NORTH, SHAPE, WEST, write_cube

import sits_data.store.write as write_module
from sits_data.cli import main
from sits_data.drafts import drafting
from sits_data.errors import (
    DamagedCube,
    DamagedStore,
    InvalidAOI,
    InvalidLabels,
    InvalidRequest,
    NotAStore,
    OutputExists,
    OutputNotWritable,
)
from sits_data.manifest import (
    Chips,
    ColumnLabels,
    Features,
    Parcels,
    Points,
    RasterLabels,
    Recipe,
    Superpixels,
)
from sits_data.orders import order
from sits_data.planar import gather
from sits_data.store import open_store, planarize, verify_store
from sits_data.store.read import is_store
from sits_data.store.shards import Shards
from sits_data.store.transpose import copy_columns


def _box(row, column, height, width):
    left, top = WEST + 10 * column, NORTH - 10 * row
    return shapely.box(left, top - 10 * height, left + 10 * width, top)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with a cube, parcels that cross its chunks, and a raster of class codes."""
    folder = tmp_path_factory.mktemp("site")
    arrays = write_cube(folder / "field.zarr")
    parcels = gpd.GeoDataFrame(
        {"crop_code": [20, 10, None, 20, 30], "crop_name": ["Rye", "Oat", None, "Rye", "Flax"]},
        geometry=[
            _box(510, 500, 8, 25),
            shapely.Point(WEST + 800, NORTH - 700).buffer(250),
            _box(0, 515, 20, 3),
            _box(30, 10, 2, 2),
            _box(900, 900, 2, 2),
        ],
        crs="EPSG:32631",
    )
    parcels.to_file(folder / "parcels.gpkg")
    codes = np.random.default_rng(1).choice([0, 5, 6, 9], SHAPE).astype("u1")
    with rasterio.open(
        folder / "crops.tif", "w", driver="GTiff", count=1, height=SHAPE[0], width=SHAPE[1],
        dtype="uint8", crs="EPSG:32631", transform=Affine(10, 0, WEST, 0, -10, NORTH),
    ) as raster:  # fmt: skip
        raster.write(codes, 1)
    return folder, arrays | {"codes": codes}


def _recipe(folder, **options):
    return Recipe(
        regions=Parcels(path=str(folder / "parcels.gpkg")),
        labels=ColumnLabels(field="crop_code"),
        **options,
    )


def _assert_same_pixels(store, arrays):
    for index in range(len(store)):
        region = store.region(index)
        y, x = region.yx.T
        assert np.array_equal(region.pixels, arrays["reflectance"][:, :, y, x].transpose(2, 0, 1))
        assert np.array_equal(region.qa, arrays["qa"][:, y, x].T)
        flat = y.astype(int) * SHAPE[1] + x
        assert (np.diff(flat) > 0).all()


def test_store_of_parcels(site, tmp_path):
    folder, arrays = site
    out = tmp_path / "field.planar"
    done = planarize(folder / "field.zarr", out, recipe=_recipe(folder))
    assert (done.regions, done.dates, done.dropped) == (4, 4, {"outside the cube": 1})
    assert done.classes == {"Oat": 1, "Rye": 2, "unlabelled": 1}
    assert done.bytes == sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    store = open_store(out)
    _assert_same_pixels(store, arrays)
    manifest = store.manifest
    assert store.dates.tolist() == DATES
    assert (manifest.bands, manifest.scale, manifest.offset) == (BANDS, 1e-4, -0.1)
    assert (manifest.mask, manifest.dropped) == ("standard", {"outside the cube": (4,)})
    assert manifest.grid.crs == "EPSG:32631"
    assert manifest.cube["scenes"] == ["S2A_1", "S2B_2"]
    assert [(one.code, one.name) for one in manifest.classes] == [(10, "Oat"), (20, "Rye")]
    label = {store.region(i).id: store.region(i).label for i in range(4)}
    assert label == {0: 1, 1: 0, 2: -1, 3: 1}
    assert store.region(0).labels is None
    frame = store.to_geopandas()
    assert frame.crs.to_epsg() == 32631
    assert sorted(frame["crop_name"].dropna()) == ["Oat", "Rye", "Rye"]
    assert frame.geometry.area.min() == 400


def test_planar_images_orders_and_clear(site, tmp_path):
    folder, _ = site
    planarize(folder / "field.zarr", tmp_path / "s", recipe=_recipe(folder))
    store = open_store(tmp_path / "s")
    region = store.region(1)
    for name in ("hilbert", "snake"):
        order = store.order(1, name)
        assert sorted(order.tolist()) == list(range(len(region.yx)))
        assert np.array_equal(store.planar_image(1, name), gather(region.pixels, order))
    assert np.array_equal(store.clear(1), region.qa == 0)
    decoded = store.decode(region.pixels)
    assert decoded.dtype == np.float32
    assert np.array_equal(np.isnan(decoded), region.pixels == 0)
    seen = region.pixels > 0
    np.testing.assert_allclose(decoded[seen], region.pixels[seen] * 1e-4 - 0.1, atol=1e-6)
    with pytest.raises(LookupError, match="has no order 'spiral', it has hilbert, snake; compute"):
        store.order(1, "spiral")
    with pytest.raises(IndexError, match="regions 0 to 3, got 4"):
        store.region(4)
    assert np.array_equal(store.region(-1).yx, store.region(3).yx)
    with pytest.raises(ValueError, match="read-only"):
        region.pixels[0] = 1


def test_labels_of_chips_map_back_to_the_raster_everywhere(site, tmp_path):
    folder, arrays = site
    recipe = Recipe(
        regions=Chips(size_px=32), labels=RasterLabels(path=str(folder / "crops.tif")), orders=()
    )
    planarize(folder / "field.zarr", tmp_path / "s", recipe=recipe)
    store = open_store(tmp_path / "s")
    _assert_same_pixels(store, arrays)
    codes = np.array([*(one.code for one in store.manifest.classes), 0])
    found = np.full(SHAPE, 99)
    for index in range(len(store)):
        region = store.region(index)
        found[tuple(region.yx.T)] = codes[region.labels]
    assert np.array_equal(found, arrays["codes"])
    region = store.region(5)
    counts = np.bincount(region.labels[region.labels >= 0], minlength=3)
    assert counts[region.label] == counts.max()
    assert "crops" in store.regions.column_names


def test_strict_marks_dark_and_unclassified_pixels_as_unclear(site, tmp_path):
    folder, arrays = site
    planarize(folder / "field.zarr", tmp_path / "s", recipe=_recipe(folder, mask="strict"))
    store = open_store(tmp_path / "s")
    y, x = store.region(0).yx.T
    odd = np.isin(arrays["scl"][:, y, x], (2, 7)).T
    assert np.array_equal(store.region(0).qa, arrays["qa"][:, y, x].T | np.where(odd, 32, 0))
    assert not store.clear(0)[odd].any()


def test_small_shards_hold_the_same_and_never_split_a_region(site, tmp_path, monkeypatch):
    folder, arrays = site
    monkeypatch.setattr("sits_data.store.pixels._WRITE_ROWS", 100)
    recipe = Recipe(regions=Chips(size_px=64), shard_mb=1)
    planarize(folder / "field.zarr", tmp_path / "s", recipe=recipe)
    store = open_store(tmp_path / "s")
    assert len(store.manifest.shard_rows) == 7
    assert sum(store.manifest.shard_rows) == SHAPE[0] * SHAPE[1]
    _assert_same_pixels(store, arrays)


def test_the_same_recipe_gives_the_same_bytes_on_any_number_of_threads(site, tmp_path):
    folder, _ = site
    for threads in (1, 3):
        out = tmp_path / str(threads)
        planarize(folder / "field.zarr", out, recipe=_recipe(folder), threads=threads)
    one, three = (open_store(tmp_path / name).manifest for name in "13")
    assert one == three


@given(pixels=st.lists(st.integers(1, 50), min_size=1), limit=st.integers(1, 60), data=st.data())
def test_shards_are_filled_in_order_and_runs_cover_the_rows_asked_for(pixels, limit, data):
    shards = Shards.fill(np.array(pixels), limit=limit)
    assert shards.first[-1] == sum(pixels)
    for shard in range(len(shards)):
        inside = np.array(pixels)[shards.of_region == shard]
        assert inside.sum() == shards.first[shard + 1] - shards.first[shard]
        assert inside.sum() <= limit or len(inside) == 1
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, sum(pixels) - 1), min_size=1))))
    found = []
    for run in shards.runs(rows, longest=7):
        length = run.part.stop - run.part.start
        assert length <= 7
        assert run.row + length <= np.diff(shards.first)[run.shard]
        found += (shards.first[run.shard] + run.row + np.arange(length)).tolist()
    assert found == rows.tolist()


@given(images=st.integers(1, 20), pixels=st.integers(1, 300), first=st.integers(0, 5))
def test_copy_columns_is_a_transposed_gather(images, pixels, first):
    random = np.random.default_rng(images * pixels)
    source = random.integers(0, 65535, (images, 40)).astype(np.uint16)
    chosen = random.integers(0, 40, pixels)
    rows = np.zeros((pixels, images + 5), np.uint16)
    copy_columns(source, chosen, rows, first)
    assert np.array_equal(rows[:, first : first + images], source[:, chosen].T)
    assert rows[:, :first].sum() + rows[:, first + images :].sum() == 0


def test_an_interruption_midway_leaves_a_draft_that_only_the_same_work_continues(
    site, tmp_path, monkeypatch
):
    folder, _ = site
    recipe = _recipe(folder)
    planarize(folder / "field.zarr", tmp_path / "whole", recipe=recipe)

    def fail(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(write_module, "_write_tables", fail)
        with pytest.raises(KeyboardInterrupt):
            planarize(folder / "field.zarr", tmp_path / "s", recipe=recipe)
    draft = tmp_path / ".s.partial"
    assert sorted(file.name for file in tmp_path.iterdir()) == [".s.partial", "whole", "whole.item.json"]
    blocks = draft.joinpath("log").read_text().splitlines()[1:]
    assert blocks == ["block 0 0", "block 0 512", "block 512 0", "block 512 512"]
    # One block is forgotten, its pixels spoilt: it is written again, the others are not.
    work = draft.joinpath("log").read_text().splitlines()[0]
    draft.joinpath("log").write_text("\n".join([work, *blocks[:3], "block 512 5"]))
    read = []
    spied = write_module.RawCube.read_chunk
    with monkeypatch.context() as patch:
        patch.setattr(
            write_module.RawCube,
            "read_chunk",
            lambda cube, name, index, out: read.append(index[-2:]) or spied(cube, name, index, out),
        )
        planarize(folder / "field.zarr", tmp_path / "s", recipe=recipe)
    assert set(read) == {(1, 1)}
    assert _files(tmp_path / "s") == _files(tmp_path / "whole")
    assert not draft.exists()
    with monkeypatch.context() as patch:
        patch.setattr(write_module, "_write_tables", fail)
        with pytest.raises(KeyboardInterrupt):
            planarize(folder / "field.zarr", tmp_path / "other", recipe=recipe)
    other = recipe.model_copy(update={"mask": "strict"})
    planarize(folder / "field.zarr", tmp_path / "other", recipe=other)
    assert open_store(tmp_path / "other").manifest.mask == "strict"
    assert verify_store(tmp_path / "other")


def _files(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }


@pytest.mark.parametrize("stage", ["_save", "_write_manifest", "sha256_of"])
def test_killed_while_the_tables_are_written_it_can_be_finished(site, tmp_path, monkeypatch, stage):
    folder, _ = site
    planarize(folder / "field.zarr", tmp_path / "whole", recipe=_recipe(folder))

    def fail(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(write_module, stage, fail)
        with pytest.raises(KeyboardInterrupt):
            planarize(folder / "field.zarr", tmp_path / "s", recipe=_recipe(folder))
    # A run with --overwrite that was killed while it deleted what it had replaced.
    (tmp_path / ".s.partial/replaced").mkdir()
    (tmp_path / ".s.partial/replaced/file").write_text("")
    planarize(folder / "field.zarr", tmp_path / "s", recipe=_recipe(folder))
    planarize(folder / "field.zarr", tmp_path / "s", recipe=_recipe(folder), overwrite=True)
    assert _files(tmp_path / "s") == _files(tmp_path / "whole")


def test_killed_at_any_moment_the_same_command_finishes(site, tmp_path):
    folder, _ = site
    out = tmp_path / "s.planar"
    command = [str(COMMAND), "planarize", str(folder / "field.zarr"), "--out"]
    command += [str(out), "--chips", "8", "--orders", "hilbert"]
    planarize(
        folder / "field.zarr",
        tmp_path / "whole",
        recipe=Recipe(regions=Chips(size_px=8), orders=("hilbert",)),
    )
    log = tmp_path / ".s.planar.partial/log"
    for blocks in (1, 2):
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None:
                if log.is_file() and len(log.read_text().splitlines()) > blocks:
                    process.kill()
                    break
        assert not out.exists() or verify_store(out)
    if not out.exists():
        subprocess.run(command, check=True, capture_output=True)
    assert _files(out) == _files(tmp_path / "whole")
    left = {file.name for file in tmp_path.iterdir()} - {"s.planar.item.json"}
    assert left == {"s.planar", "whole", "whole.item.json"}


def test_two_processes_do_not_write_one_store(site, tmp_path):
    folder, _ = site
    with (
        drafting(tmp_path / "s", "other work", what="a store", is_one=is_store, overwrite=False),
        pytest.raises(OutputExists, match=r"another process is writing .*/s; wait for it"),
    ):
        planarize(folder / "field.zarr", tmp_path / "s", recipe=_recipe(folder))


def test_a_cube_without_polygons_of_its_own_needs_regions(site, tmp_path):
    folder, _ = site
    with pytest.raises(InvalidAOI, match=r"does not name its area's polygons; .*--regions"):
        planarize(folder / "field.zarr", tmp_path / "s", recipe=Recipe(regions=Features()))


def test_a_full_disk_is_one_line_and_leaves_nothing(site, tmp_path):
    folder, _ = site
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (100, 6_000, 20_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
        try:
            with pytest.raises(OutputNotWritable, match=r"File too large.; make room or choose"):
                planarize(folder / "field.zarr", tmp_path / "s", recipe=_recipe(folder))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert list(tmp_path.iterdir()) == []


def test_a_damaged_chunk_of_the_cube_is_one_line_and_leaves_nothing(site, tmp_path):
    folder, _ = site
    shutil.copytree(folder / "field.zarr", tmp_path / "bad.zarr")
    (tmp_path / "bad.zarr/reflectance/c/2/0/0/0").write_bytes(b"not a chunk")
    with pytest.raises(DamagedCube, match="a chunk of reflectance cannot be read"):
        planarize(tmp_path / "bad.zarr", tmp_path / "s", recipe=_recipe(folder))
    assert [file.name for file in tmp_path.iterdir()] == ["bad.zarr"]


def test_a_source_column_with_a_name_of_ours_is_kept_and_can_be_the_label(site, tmp_path):
    folder, _ = site
    parcels = gpd.read_file(folder / "parcels.gpkg").rename(columns={"crop_code": "label"})
    parcels.assign(id=["a", "b", "c", "d", "e"]).to_parquet(tmp_path / "p.parquet")
    recipe = Recipe(
        regions=Parcels(path=str(tmp_path / "p.parquet")), labels=ColumnLabels(field="label")
    )
    planarize(folder / "field.zarr", tmp_path / "s", recipe=recipe)
    table = open_store(tmp_path / "s").regions.to_pydict()
    assert table["id"] == [0, 1, 3, 2]
    assert table["source_id"] == ["a", "b", "d", "c"]
    assert table["label"] == [1, 0, 1, -1]
    assert table["source_label"] == [20, 10, 20, None]


def test_a_file_in_the_way_of_the_folder(site, tmp_path):
    folder, _ = site
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritable, match=r"cannot write .*file/s"):
        planarize(folder / "field.zarr", tmp_path / "file" / "s", recipe=_recipe(folder))


def test_overwrite_replaces_a_store_and_nothing_else(site, tmp_path):
    folder, _ = site
    out, recipe = tmp_path / "s", _recipe(folder)
    planarize(folder / "field.zarr", out, recipe=recipe)
    with pytest.raises(OutputExists, match="exists; replace it with --overwrite"):
        planarize(folder / "field.zarr", out, recipe=recipe)
    planarize(folder / "field.zarr", out, recipe=_recipe(folder, orders=()), overwrite=True)
    assert open_store(out).manifest.orders == ()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["s", "s.item.json"]
    (tmp_path / "photos").mkdir()
    with pytest.raises(OutputExists, match="is not a planar store; choose another place"):
        planarize(folder / "field.zarr", tmp_path / "photos", recipe=recipe, overwrite=True)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"orders": ("zigzag",)}, InvalidRequest, "unknown order zigzag; use some of raster"),
        ({"orders": ("snake", "snake")}, InvalidRequest, "an order is asked for twice"),
        ({"mask": "lax"}, InvalidRequest, "unknown mask 'lax'; use one of standard"),
        ({"shard_mb": 0}, InvalidRequest, "at least 1 MB, got 0"),
        ({"regions": Chips(size_px=32)}, InvalidRequest, "labels from a column need regions"),
        ({"regions": Chips(size_px=1), "labels": None}, InvalidRequest, "at least 2 pixels, got 1"),
        ({"regions": Parcels(path="none.gpkg")}, InvalidAOI, "none.gpkg does not exist"),
        ({"labels": ColumnLabels(field="c")}, InvalidLabels, "no column c; the file has crop_code,"),
        ({"labels": RasterLabels(path="x.tif")}, InvalidLabels, "x.tif does not exist"),
    ],
)
def test_recipes_that_cannot_be_followed(site, tmp_path, change, error, message):
    folder, _ = site
    recipe = _recipe(folder).model_copy(update=change)
    with pytest.raises(error, match=message):
        planarize(folder / "field.zarr", tmp_path / "s", recipe=recipe)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def broken(site, tmp_path):
    """A store to damage."""
    folder, _ = site
    planarize(folder / "field.zarr", tmp_path / "s", recipe=_recipe(folder))
    return tmp_path / "s"


def _edit(store, **changes):
    manifest = json.loads((store / "manifest.json").read_text())
    (store / "manifest.json").write_text(json.dumps(manifest | changes))


def _scramble(order):
    np.save(order, np.load(order) + 100_000)


def test_verify_finds_one_changed_byte(broken):
    assert verify_store(broken) == 7
    with (broken / "qa-00000.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")
    open_store(broken)
    with pytest.raises(DamagedStore, match=r"qa-00000.npy differs from its sha256"):
        verify_store(broken)


def test_manifest_holds_the_sha256_of_every_other_file(broken):
    files = {f.relative_to(broken).as_posix(): f for f in broken.rglob("*") if f.is_file()}
    del files["manifest.json"]
    digests = {name: hashlib.sha256(f.read_bytes()).hexdigest() for name, f in files.items()}
    assert open_store(broken).manifest.files == digests


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda s: shutil.rmtree(s), NotAStore, "is not a planar store .no manifest.json.; make one"),
        (lambda s: (s / "manifest.json").write_text("{"), NotAStore, "is not JSON"),
        (lambda s: (s / "manifest.json").write_text("[]"), NotAStore, "does not describe a planar"),
        (lambda s: _edit(s, schema_version=9), NotAStore, "version 9, this sits-data reads 1; use"),
        (lambda s: _edit(s, bands=3), DamagedStore, "bands: Input should be a valid tuple"),
        (lambda s: _edit(s, regions=5), DamagedStore, "has 4 entries, the manifest says 5"),
        (lambda s: _edit(s, files={"../a.npy": ""}), DamagedStore, "'../a.npy' is not the name"),
        (lambda s: _edit(s, files={"/etc/a.npy": ""}), DamagedStore, "'/etc/a.npy' is not the name"),
        (lambda s: (s / "yx-00000.npy").unlink(), DamagedStore, "yx-00000.npy is missing; make it"),
        (lambda s: (s / "dates.npy").write_text("x"), DamagedStore, "dates.npy is not a whole .npy"),
        (lambda s: (s / "regions.parquet").write_text("x"), DamagedStore, "is not Parquet"),
        (lambda s: _edit(s, shard_rows=[7]), DamagedStore, "names rows that no shard has"),
        (lambda s: np.save(s / "yx-00000.npy", np.zeros((3, 2))), DamagedStore, "holds float64 .3, 2."),
        (lambda s: _scramble(s / "orders/hilbert-00000.npy"), DamagedStore, "of region 0 leaves it"),
        (
            lambda s: (s / "pixels-00000.npy").write_bytes((s / "pixels-00000.npy").read_bytes()[:999]),
            DamagedStore,
            "pixels-00000.npy is not a whole .npy file",
        ),
        (
            lambda s: np.save(s / "qa-00000.npy", np.array([{}]), allow_pickle=True),
            DamagedStore,
            "qa-00000.npy is not a whole .npy file",
        ),
    ],
)  # fmt: skip
def test_stores_that_are_broken(broken, damage, error, message):
    damage(broken)
    with pytest.raises(error, match=message):
        open_store(broken).planar_image(0)


def test_a_link_out_of_the_store_is_not_followed(broken):
    (broken / "qa-00000.npy").rename(broken.parent / "qa.npy")
    (broken / "qa-00000.npy").symlink_to(broken.parent / "qa.npy")
    with pytest.raises(DamagedStore, match="leads out of its store"):
        open_store(broken)


def test_a_store_travels_to_a_worker_as_its_path(broken):
    store = open_store(broken)
    store.region(0)
    data = pickle.dumps(store)
    assert len(data) < 1000
    assert np.array_equal(pickle.loads(data).region(0).pixels, store.region(0).pixels)


def test_reading_imports_neither_geopandas_nor_zarr(broken):
    code = (
        "import sys, sits_data; sits_data.open_store(sys.argv[1]).planar_image(0); "
        "print({'geopandas', 'zarr', 'numba', 'rasterio', 'xarray', 'scipy'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, str(broken)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "set()\n"


def test_command_line_writes_a_store_and_prints_a_summary(site, tmp_path, monkeypatch):
    folder, _ = site
    monkeypatch.chdir(tmp_path)
    arguments = ["planarize", str(folder / "field.zarr"), "--regions", str(folder / "parcels.gpkg")]
    arguments += ["--label-field", "crop_code", "--orders", "spiral", "--json"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["classes"] == {"Oat": 1, "Rye": 2, "unlabelled": 1}
    assert open_store("field.planar").manifest.orders == ("spiral",)
    again = CliRunner().invoke(main, arguments, prog_name="sits-data")
    assert again.exit_code == 1
    assert again.stderr == (
        "sits-data: field.planar exists; replace it with --overwrite, or choose another place\n"
    )


@pytest.mark.parametrize(
    "regions",
    [Chips(size_px=64, stride_px=40), Superpixels(size_px=90), "points"],
    ids=["overlapping chips", "superpixels", "points"],
)
def test_every_kind_of_region_keeps_its_pixels(site, tmp_path, regions):
    folder, arrays = site
    if regions == "points":
        places = [shapely.Point(WEST + 10 * x, NORTH - 10 * y) for x, y in [(9, 8), (11, 8), (515, 514)]]
        gpd.GeoDataFrame({"crop": [1, 2, 1]}, geometry=places, crs="EPSG:32631").to_file(
            tmp_path / "points.gpkg"
        )
        regions = Points(path=str(tmp_path / "points.gpkg"), size_px=7)
    planarize(folder / "field.zarr", tmp_path / "s.planar", recipe=Recipe(regions=regions))
    store = open_store(tmp_path / "s.planar")
    verify_store(tmp_path / "s.planar")
    assert store.manifest.recipe.regions == regions
    for number in range(0, len(store), max(1, len(store) // 7)):
        region = store.region(number)
        y, x = region.yx.T
        expected = arrays["reflectance"][:, :, y, x].transpose(2, 0, 1)
        np.testing.assert_array_equal(region.pixels, expected)
        np.testing.assert_array_equal(region.qa, arrays["qa"][:, y, x].T)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--chips", "8", "--regions", "a"], "not several of them"),
        (["--chips", "8", "--label-field", "a"], "--label-field is a column of --regions"),
        (["--regions", "a", "--label-field", "b", "--labels", "c"], "not from both"),
        (["--chips", "8", "--name-field", "b"], "--name-field names the classes of --label-field"),
        (["--chips", "8", "--legend", "b"], "--legend names the classes of --labels"),
        (["--chips", "8", "--around", "3"], "--around is for points"),
        (["--regions", "a", "--stride", "3"], "--stride is for chips"),
        (["--superpixels", "9", "--shrink", "3"], "are for polygons; give --regions"),
        (["--chips", "8", "--orders", "peano"], "unknown order peano; use some of raster, snake"),
    ],
)
def test_command_line_usage_errors(options, message):
    result = CliRunner().invoke(main, ["planarize", "field.zarr", *options])
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_dihedral_variants_can_be_stored(site, tmp_path):
    folder, _ = site
    recipe = Recipe(regions=Chips(size_px=300), orders=("hilbert", "hilbert:5"))
    planarize(folder / "field.zarr", tmp_path / "s", recipe=recipe)
    store = open_store(tmp_path / "s")
    assert (tmp_path / "s/orders/hilbert.5-00000.npy").is_file()
    yx = store.region(1).yx
    assert np.array_equal(store.order(1, "hilbert:5"), order("hilbert", yx, dihedral=5))
    assert verify_store(tmp_path / "s")


def test_columns_that_would_meet_are_one_line(site, tmp_path):
    folder, _ = site
    parcels = gpd.read_file(folder / "parcels.gpkg").assign(id=1, source_id=2)
    parcels.to_parquet(tmp_path / "p.parquet")
    recipe = Recipe(regions=Parcels(path=str(tmp_path / "p.parquet")))
    with pytest.raises(InvalidAOI, match="keeps the column id as source_id, and the file has that too"):
        planarize(folder / "field.zarr", tmp_path / "s", recipe=recipe)


def test_what_a_manifest_must_name(site, tmp_path):
    folder, _ = site
    planarize(folder / "field.zarr", tmp_path / "s", recipe=_recipe(folder))
    manifest = tmp_path / "s/manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(content | {"files": {}}))
    with pytest.raises(DamagedStore, match=r"does not name dates.npy, "):
        verify_store(tmp_path / "s")
    manifest.write_text(json.dumps(content))
    dates = np.load(tmp_path / "s/dates.npy")
    np.save(tmp_path / "s/dates.npy", dates[::-1])
    with pytest.raises(DamagedStore, match="dates do not ascend"):
        open_store(tmp_path / "s")


def test_small_files_keep_no_descriptor_open(site, tmp_path):
    folder, _ = site
    planarize(folder / "field.zarr", tmp_path / "s", recipe=Recipe(regions=Chips(size_px=64)))
    planarize(
        folder / "field.zarr", tmp_path / "few", recipe=Recipe(regions=Chips(size_px=12, min_pixels=140))
    )

    def mapped(path):
        store = open_store(path)
        return isinstance(store.shard("pixels", 0).base, np.memmap), store.shard("yx", 0).flags.writeable

    assert mapped(tmp_path / "s") == (True, False)
    store = open_store(tmp_path / "few")
    assert not isinstance(store.dates.base, np.memmap)
    assert not store.dates.flags.writeable

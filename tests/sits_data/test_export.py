"""Exported images: what the store has, in every format; the paper's canvas by its definition."""

import io
import json
import tarfile

import numpy as np
import pytest
import shapely
import zarr
from click.testing import CliRunner
from made_up_cube import BANDS, DATES, NORTH, WEST, write_cube
from PIL import Image

from sits_data import open_store
from sits_data.cli import main
from sits_data.errors import InvalidRequest, MissingBand, OutputExists
from sits_data.export import Curve, export
from sits_data.orders import (
    WalkKey,
    WalkLaw,
    neighbours,
    order,
    parse_curve,
    random_walks,
    slice_through,
    walk_count,
)
from sits_data.planar import gather
from sits_data.series import resample
from sits_data.store import Parcels, Recipe, planarize


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two parcels, one smaller and one larger than the paper's 224 columns."""
    import geopandas as gpd

    folder = tmp_path_factory.mktemp("export")
    write_cube(folder / "field.zarr")
    outlines = [
        shapely.box(WEST + 100, NORTH - 150, WEST + 200, NORTH - 100),
        shapely.Point(WEST + 800, NORTH - 700).buffer(120),
    ]
    gpd.GeoDataFrame(geometry=outlines, crs="EPSG:32631").to_file(folder / "parcels.gpkg")
    recipe = Recipe(regions=Parcels(path=str(folder / "parcels.gpkg")))
    planarize(folder / "field.zarr", folder / "field.planar", recipe=recipe)
    return open_store(folder / "field.planar")


def images_of(folder, file_format):
    """(region, number) → image, clear and index of what was exported, whatever the format."""
    found = {}
    if file_format == "npz":
        for file in folder.glob("*.npz"):
            with np.load(file) as arrays:
                for number in range(len(arrays["image"])):
                    key = int(file.stem.split("-")[1]), number
                    found[key] = tuple(arrays[name][number] for name in ("image", "clear", "index"))
    elif file_format == "webdataset":
        for file in sorted(folder.glob("*.tar")):
            with tarfile.open(file) as tar:
                parts = {one.name: tar.extractfile(one).read() for one in tar}
            for name in [one for one in parts if one.endswith(".json")]:
                about, key = json.loads(parts[name]), name.removesuffix(".json")
                found[about["region"], about["number"]] = tuple(
                    np.load(io.BytesIO(parts[f"{key}.{kind}.npy"]))
                    for kind in ("image", "clear", "index")
                )
    else:
        group = zarr.open_group(folder / "images.zarr", mode="r")
        for row in range(len(group["region"][:])):
            length = int((group["index"][row] >= 0).sum())
            key = int(group["region"][row]), int(group["number"][row])
            found[key] = tuple(group[name][row][..., :length] for name in ("image", "clear", "index"))
    return found


@pytest.mark.parametrize("file_format", ["npz", "zarr", "webdataset"])
@pytest.mark.parametrize("name", ["hilbert", "random", "walk"])
def test_native_images_are_those_of_the_store(store, tmp_path, file_format, name):
    curve = Curve(name, length=7, fraction=0.2, seed=3)
    done = export(store.path, tmp_path / "out", file_format=file_format, curve=curve)
    found = images_of(tmp_path / "out", file_format)
    assert len(found) == done.images
    for number in range(len(store)):
        region = store.region(number)
        indices = curve.indices(region, store.clear(number))
        if name == "hilbert":
            np.testing.assert_array_equal(indices[0], store.order(number, "hilbert"))
        if name == "walk":
            key = WalkKey(3, region.id, -1, 0)
            count = int(np.ceil(0.2 * len(region.yx)))
            drawn = random_walks(neighbours(region.yx), count=count, length=7, key=key)
            np.testing.assert_array_equal(indices, drawn)
        for which, index in enumerate(indices):
            image, clear, written = found.pop((region.id, which))
            np.testing.assert_array_equal(written, index)
            np.testing.assert_array_equal(image, gather(region.pixels, index))
            seen = store.clear(number) & (region.pixels != 0).all(axis=2)
            np.testing.assert_array_equal(clear, seen[index].T)
    assert not found


def test_same_export_same_bytes(store, tmp_path):
    for name in ("one", "two"):
        export(store.path, tmp_path / name, file_format="webdataset", curve=Curve("walk", length=5))
    one, two = ((tmp_path / name / "shard-000000.tar").read_bytes() for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize("name", ["hilbert", "walk"])
def test_canvas_is_the_papers(store, tmp_path, name):
    curve = Curve(name, length=50, fraction=0.02)
    export(store.path, tmp_path / "out", form="cviu2021", curve=curve, bands=("B08", "B04"), year=2019)
    found = images_of(tmp_path / "out", "npz")
    about = json.loads((tmp_path / "out/export.json").read_text())
    assert (about["form"], about["year"], about["bands"]) == ("cviu2021", 2019, ["B08", "B04"])
    low, high = np.array(about["black"]), np.array(about["white"])
    start = (np.datetime64("2019-01-01") - np.datetime64("1970-01-01")).astype(int)
    instants = start + np.arange(224) * 365 / 224
    for number in range(len(store)):
        region = store.region(number)
        clear = store.clear(number) & (region.pixels != 0).all(axis=2)
        pieces = [
            index[k : k + 224]
            for index in curve.indices(region, store.clear(number))
            for k in range(0, len(index), 224)
        ]
        for which, piece in enumerate(pieces):
            image, seen, index = found.pop((region.id, which))
            assert image.shape == (2, 224, 224)
            if name == "walk":
                assert (index[:87] == -1).all()
                np.testing.assert_array_equal(index[87:137], piece)
                assert (index[137:] == -1).all()
                assert (image[:, :, index < 0] == 0).all()
            else:
                np.testing.assert_array_equal(index, [piece[k % len(piece)] for k in range(224)])
            for column in (0, 90, 120, 223):
                row = index[column]
                if row < 0 or not clear[row].any():
                    assert not seen[:, column].any()
                    continue
                assert seen[:, column].all()
                for band, place in enumerate((1, 0)):
                    values = region.pixels[row, clear[row], place].astype(float)
                    line = np.interp(instants, np.array(DATES)[clear[row]], values)
                    expected = np.clip((line - low[band]) / (high[band] - low[band]), 0, 1)
                    np.testing.assert_allclose(image[band, :, column], expected, atol=1e-5)
    assert not found


def test_pictures_show_three_bands_and_hide_what_is_unclear(store, tmp_path):
    export(store.path, tmp_path / "out", file_format="png", bands=("B08", "B04", "B11"))
    assert len(list((tmp_path / "out").glob("*.png"))) == 2
    picture = np.asarray(Image.open(tmp_path / "out/region-000000-00000.png"))
    region = store.region(0)
    index = order("hilbert", region.yx)
    clear = (store.clear(0) & (region.pixels != 0).all(axis=2))[index].T
    assert picture.shape == (len(DATES), len(index), 4)
    np.testing.assert_array_equal(picture[..., 3], np.where(clear, 255, 0))
    dn = region.pixels[index, :, BANDS.index("B04")].T[clear]
    shown = picture[..., 1][clear].astype(int)
    assert (np.diff(shown[np.argsort(dn)]) >= 0).all()


def test_percentiles_are_those_of_clear_values(store, tmp_path):
    export(store.path, tmp_path / "out")
    about = json.loads((tmp_path / "out/export.json").read_text())
    regions = [store.region(number) for number in range(len(store))]
    clear = [store.clear(n) & (one.pixels != 0).all(axis=2) for n, one in enumerate(regions)]
    values = np.concatenate([one.pixels[seen] for one, seen in zip(regions, clear, strict=True)])
    expected = np.percentile(values, [2, 98], axis=0, method="inverted_cdf")
    np.testing.assert_array_equal([about["black"], about["white"]], expected)


def test_resample_by_hand():
    pixels = np.array([[[0.0], [9.0], [4.0]], [[1.0], [2.0], [3.0]]])
    clear = np.array([[True, False, True], [False, False, False]])
    found = resample(pixels, clear, np.array([10, 12, 18]), np.array([5, 10, 12, 16, 30]))
    assert found.values[0, :, 0].tolist() == [0, 0, 1, 3, 4]
    assert found.distance.tolist() == [[5, 0, 2, 2, 12], [-1] * 5]
    assert found.observed.tolist() == [True, False]
    assert (found.values[1] == 0).all()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"bands": ("B01",)}, MissingBand, "has no B01, it has B04, B08, B11"),
        ({"form": "cviu2021"}, MissingBand, "has no B03"),
        ({"form": "cviu2021", "bands": BANDS, "year": 1999}, InvalidRequest, "no date of 1999; choose"),
    ],
)
def test_exports_that_cannot_be(store, tmp_path, settings, error, message):
    with pytest.raises(error, match=message):
        export(store.path, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "peano"}, "unknown curve 'peano'; use one of raster"),
        ({"name": "walk", "length": 0}, "at least 1 position, got 0"),
        ({"name": "walk", "fraction": 0}, "must be above 0, got 0"),
    ],
)
def test_curves_that_cannot_be(settings, message):
    with pytest.raises(InvalidRequest, match=message):
        Curve(**settings)


def test_command_line_writes_an_export_once(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [
        "export",
        str(store.path),
        "--format",
        "zarr",
        "--curve",
        "walk",
        "--fraction",
        "0.1",
        "--json",
    ]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert (summary["out"], summary["regions"]) == ("field-zarr", 2)
    assert CliRunner().invoke(main, words).exit_code == 1
    assert CliRunner().invoke(main, [*words, "--overwrite"]).exit_code == 0
    (tmp_path / "thesis").mkdir()
    with pytest.raises(OutputExists, match="is not an export"):
        export(store.path, tmp_path / "thesis", overwrite=True)


@pytest.mark.parametrize("name", ["x", "y", "line:1,2"])
def test_lines_are_runs_through_pixels_cut_to_their_length(store, name):
    region = store.region(0)
    curve = Curve(name, length=4, fraction=0.3)
    found = curve.indices(region, store.clear(0))
    assert len(found) == walk_count(len(region.yx), 0.3)
    for rows in found:
        whole = slice_through(region.yx, rows[0], parse_curve(name).direction)
        assert len(rows) == min(4, len(whole))
        start = whole.tolist().index(rows[0])
        assert whole[start : start + len(rows)].tolist() == rows.tolist()


def test_variants_and_laws_of_curves(store):
    region, clear = store.region(1), store.clear(1)
    (rows,) = Curve("snake:6").indices(region, clear)
    assert rows.tolist() == order("snake", region.yx, dihedral=6).tolist()
    with pytest.raises(InvalidRequest, match="an export needs one curve, got hilbert:"):
        Curve("hilbert:*")
    key = WalkKey(2**32 - 1, region.id, -1, 0)
    near = neighbours(region.yx, connectivity=4)
    walks = random_walks(
        near, count=walk_count(len(region.yx), 0.5), length=9, key=key, law=WalkLaw(backtrack=False)
    )
    found = Curve("walk:4,onward", length=9, fraction=0.5, seed=-1).indices(region, clear)
    assert [one.tolist() for one in found] == walks.tolist()

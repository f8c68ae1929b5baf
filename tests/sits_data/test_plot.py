import shutil
import subprocess
import sys
from dataclasses import replace

import geopandas as gpd
import matplotlib.image
import numpy as np
import pytest
import shapely
from tiny_catalogue import GRID, daily, native_shape, request, write_catalogue

from sits_data.build import build_cube
from sits_data.cube import open_raw
from sits_data.errors import InvalidRequest, NotACube, OutputNotWritable
from sits_data.manifest import Chips, ColumnLabels, Parcels, Recipe
from sits_data.plot import Look, plot
from sits_data.plot.colour import choose_composite, choose_stretch, fit, ndvi, paint, veil
from sits_data.plot.cube import choose_dates
from sits_data.plot.page import iso, shorten, spread_ticks
from sits_data.plot.store import choose_regions
from sits_data.plot.thumbnail import read_thumbnail
from sits_data.store import open_store, planarize

BANDS = ("B02", "B03", "B04", "B08")
FAST = Look(dpi=50)


def _build(folder, days, *, bands=BANDS, grid=GRID, scl=None):
    products = [replace(product, grid=grid) for product in daily(days)]
    if scl is not None:
        values = {"scl": np.full(native_shape(grid, "scl"), scl, np.uint8)}
        products = [replace(product, values=values) for product in products]
    catalog = write_catalogue(folder / "catalogue", products, bands)
    build_cube(request(catalog, grid, bands=bands), folder / "field.zarr")
    return folder / "field.zarr"


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    """Eight days, 18 x 12 pixels, whatever clouds chance gives."""
    return _build(tmp_path_factory.mktemp("plotted"), 8)


@pytest.fixture(scope="module")
def store(cube):
    """Chips of 3 x 3 pixels, beside their cube."""
    out = cube.with_suffix(".planar")
    planarize(cube, out, recipe=Recipe(regions=Chips(size_px=3)))
    return out


def _picture(path):
    """(y, x, 3) 0 to 1, after checking that something is drawn."""
    picture = matplotlib.image.imread(path)[..., :3]
    assert 0.01 < (picture < 0.95).any(axis=-1).mean() < 0.95
    return picture


def test_plot_cube_fills_a_slide(cube, tmp_path):
    out = plot(cube, tmp_path / "cube.png", Look(dpi=80))
    height, width = _picture(out).shape[:2]
    assert width == round(13.33 * 80)
    assert 5 * 80 < height < 10 * 80
    assert list(tmp_path.iterdir()) == [out]


def test_plot_is_the_same_byte_for_byte(cube, store, tmp_path):
    for path in (cube, store):
        pictures = [plot(path, tmp_path / name, FAST).read_bytes() for name in ("a.png", "b.png")]
        assert pictures[0] == pictures[1]


def test_plot_store_without_its_cube(store, tmp_path):
    shutil.copytree(store, tmp_path / "alone.planar")
    with_land = _picture(plot(store, tmp_path / "a.png", FAST))
    alone = _picture(plot(tmp_path / "alone.planar", tmp_path / "b.png", FAST))
    assert with_land.shape == alone.shape


@pytest.mark.parametrize(
    "look",
    [
        Look(dpi=50, regions=(5,)),
        Look(dpi=50, regions=(0, 23)),
        Look(dpi=50, regions=(3, 2, 1, 0), order="spiral"),
        Look(dpi=50, layout="field"),
        Look(dpi=50, layout="field", order="snake", regions=(7,)),
        Look(dpi=50, layout="curves"),
        Look(dpi=50, layout="curves", regions=(7,)),
    ],
)
def test_plot_store_looks(store, tmp_path, look):
    _picture(plot(store, tmp_path / "store.png", look))


@pytest.mark.parametrize(
    ("days", "fields"),
    [
        (1, {}),
        (2, {"bands": ("B05",)}),
        (3, {"scl": 9}),
        (3, {"scl": 0}),
        (3, {"bands": ("B04", "B8A")}),
        (31, {"bands": ("B03", "B04", "B08")}),
        (9, {"grid": GRID.model_copy(update={"right": 601200, "bottom": 5639940})}),
        (9, {"grid": GRID.model_copy(update={"right": 600060, "bottom": 5638800})}),
    ],
    ids=["one date", "one band", "all cloud", "no data", "two bands", "month", "wide", "tall"],
)  # fmt: skip
def test_plot_survives(tmp_path, days, fields):
    cube = _build(tmp_path, days, **fields)
    _picture(plot(cube, tmp_path / "cube.png", FAST))
    planarize(cube, tmp_path / "field.planar", recipe=Recipe(regions=Chips(size_px=60), orders=()))
    _picture(plot(tmp_path / "field.planar", tmp_path / "store.png", FAST))


def test_plot_store_with_many_long_class_names(cube, tmp_path):
    left, top = GRID.left, GRID.top
    squares = [(x, y) for y in range(0, 180, 30) for x in range(0, 120, 30)]
    frame = gpd.GeoDataFrame(
        {
            "crop_code": range(len(squares)),
            "crop_name": [f"class {i} of $a_very$ long name" * 3 for i in range(24)],
        },
        geometry=[shapely.box(left + x, top - y - 30, left + x + 30, top - y) for x, y in squares],
        crs=GRID.crs,
    )
    frame.to_file(tmp_path / "parcels.gpkg")
    recipe = Recipe(
        regions=Parcels(path=str(tmp_path / "parcels.gpkg")), labels=ColumnLabels(field="crop_code")
    )
    planarize(cube, tmp_path / "classes.planar", recipe=recipe)
    _picture(plot(tmp_path / "classes.planar", tmp_path / "a.png", FAST))
    chosen = choose_regions(open_store(tmp_path / "classes.planar"), 3)
    labels = open_store(tmp_path / "classes.planar").labels[chosen]
    assert len(set(labels.tolist())) == 3


def test_choose_dates_takes_the_clearest_and_every_third_time_a_clouded_one():
    clear = np.array([0.1, 0.9, 0.8, 0.2, 1.0, 0.6, 0.3])
    assert choose_dates(clear, 3).tolist() == [1, 4, 5]
    assert choose_dates(np.zeros(4), 2).tolist() == [0, 2]
    assert choose_dates(clear, 99).tolist() == list(range(7))


def test_choose_composite_by_what_is_there():
    assert choose_composite(BANDS).positions == (2, 1, 0)
    assert choose_composite(BANDS, vegetation=True).bands == ("B08", "B04", "B03")
    assert choose_composite(("B04", "B08")).label == "grey (B04)"


def test_paint_spans_the_clear_pixels():
    pixels = np.array([[[1000]], [[1500]], [[2000]], [[9000]], [[0]]], np.uint16)
    clear = np.array([[True], [True], [True], [False], [True]])
    painted = paint(pixels, choose_stretch(pixels, clear))[:, 0, 0]
    assert painted[0] < 0.01
    assert 0.4 < painted[1] < 0.7
    assert painted[2:4].tolist() == [1, 1]
    assert painted[4] == pytest.approx(0.90)


def test_ndvi_worked_by_hand():
    found = ndvi(np.array([1500, 0], np.uint16), np.array([4500, 4000], np.uint16))
    assert found[0] == pytest.approx((0.35 - 0.05) / (0.35 + 0.05))
    assert np.isnan(found[1])


def test_fit_repeats_and_averages():
    image = np.array([[1.0, 3.0], [5.0, 7.0]])
    assert fit(image, 4, 2).tolist() == [[1, 3], [1, 3], [5, 7], [5, 7]]
    assert fit(image, 1, 2).tolist() == [[3, 5]]
    assert fit(image > 2, 1, 1).tolist() == [[0.75]]


def test_veil_never_touches_clear_pixels():
    colours = np.full((30, 30, 3), 0.3, np.float32)
    unclear = np.zeros((30, 30), bool)
    unclear[:15] = True
    veiled = veil(colours, unclear, strength=0.5, dpi=150)
    np.testing.assert_array_equal(veiled[15:], colours[15:])
    assert (veiled[:15] != colours[:15]).all()


def test_thumbnail_averages_pixels(cube):
    raw = open_raw(cube)
    whole = read_thumbnail(raw, 0, choose_composite(BANDS), "standard", factor=1)
    half = read_thumbnail(raw, 0, choose_composite(BANDS), "strict", factor=2)
    assert half.pixels.shape == (9, 6, 3)
    expected = whole.pixels.reshape(9, 2, 6, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(half.pixels, expected, atol=0.51)


def test_labels_of_pictures():
    assert iso(18000) == "2019-04-14"
    assert shorten("Permanent grass crops", 10) == "Permanent…"
    assert spread_ticks(5, 9) == [0, 1, 2, 3, 4]
    assert spread_ticks(1, 4) == [0]


def test_plot_command_says_where(sits_data, cube, store, tmp_path):
    done = sits_data("plot", cube, "--dpi", 50, "--dates", 3, "--mask", "strict")
    assert (done.returncode, done.stdout, done.stderr) == (0, "field.zarr.png\n", "")
    _picture(tmp_path / "field.zarr.png")
    done = sits_data(
        "plot", store, "--region", "0,3", "--order", "snake", "--dpi", 50, "--out", "b/c.png"
    )
    assert (done.returncode, done.stdout) == (0, "b/c.png\n")
    _picture(tmp_path / "b/c.png")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--region", "x"], 2, "numbers with commas"),
        (["--region", "99"], 1, "has regions 0 to 23, got 99"),
        (["--region", "0,1,2,3,4"], 1, "at most 4 regions, got 5"),
        (["--region", "0,1", "--layout", "field"], 1, "at most 1 region, got 2"),
        (["--region", "0,1", "--layout", "curves"], 1, "at most 1 region, got 2"),
        (["--order", "peano"], 2, "'raster', 'snake', 'spiral', 'hilbert'"),
        (["--dates", "3"], 1, "--dates does not apply"),
        (["--mask", "strict"], 1, "--mask does not apply"),
        (["--dates", "0"], 2, "1<=x<=60"),
    ],
)
def test_plot_command_refuses(sits_data, store, tmp_path, options, code, message):
    done = sits_data("plot", store, *options)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_plot_refuses(cube, tmp_path):
    with pytest.raises(NotACube, match="neither a cube nor a planar store"):
        plot(tmp_path, tmp_path / "a.png")
    with pytest.raises(NotACube, match="does not exist"):
        plot(tmp_path / "gone", tmp_path / "a.png")
    with pytest.raises(InvalidRequest, match="--region does not apply"):
        plot(cube, tmp_path / "a.png", Look(regions=(1,)))
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputNotWritable, match="choose another place"):
        plot(cube, tmp_path / "file/a.png", FAST)


def test_plot_leaves_pyplot_alone():
    code = "import sys, sits_data.plot; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

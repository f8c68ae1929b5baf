import json

import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from odc.geo.geobox import GeoBox

from sits_data.errors import InvalidLabels
from sits_data.labels import column_labels, majority, open_label_raster, read_legend

GRID = GeoBox((4, 6), Affine(10, 0, 600000, 0, -10, 5600040), "EPSG:32631")
CODES = np.array([[0, 7, 7, 3, 3, 0], [7, 7, 3, 3, 0, 0], [9, 9, 9, 9, 9, 9], [0, 0, 0, 0, 7, 7]])


def _write(path, codes, *, dtype="uint16", shift=(0, 0), step=10, crs="EPSG:32631", **profile):
    bands = codes if codes.ndim == 3 else codes[None]
    transform = Affine(step, 0, 600000 + shift[0], 0, -step, 5600040 + shift[1])
    with rasterio.open(
        path, "w", driver="GTiff", count=len(bands), height=bands.shape[1], width=bands.shape[2],
        dtype=dtype, crs=crs, transform=transform, **profile,
    ) as raster:  # fmt: skip
        raster.write(bands.astype(dtype))
    return path


def _decoded(raster):
    codes = np.array([*(one.code for one in raster.classes), 0])
    return codes[raster.read(0, 0, (4, 6))]


def test_column_labels_by_hand():
    frame = pd.DataFrame({
        "crop_code": [1200.0, 1110.0, np.nan, 1200.0],  # as GeoJSON gives integers with a null
        "crop_name": ["Maize", "Winter wheat", None, "Maize"],
    })  # fmt: skip
    found = column_labels(frame, "crop_code")
    assert found.labels.tolist() == [1, 0, -1, 1]
    assert found.labels.dtype == np.int32
    assert [(one.code, one.name) for one in found.classes] == [(1110, "Winter wheat"), (1200, "Maize")]
    assert len({one.colour for one in found.classes}) == 2


@given(st.lists(st.none() | st.text(min_size=1, max_size=3), min_size=1).filter(any))
def test_column_labels_point_back_to_their_codes(values):
    found = column_labels(pd.DataFrame({"crop": values}), "crop")
    codes = [one.code for one in found.classes]
    assert codes == sorted(codes)
    assert [None if label < 0 else codes[label] for label in found.labels] == values


@pytest.mark.parametrize(
    ("columns", "name_field", "names"),
    [
        ({"crop_code": [1, 2], "other": ["a", "b"]}, None, ["1", "2"]),
        ({"crop_code": [1, 2], "other": ["a", "b"]}, "other", ["a", "b"]),
        ({"crop_code": [1, 2], "crop_name": ["a", "b"]}, None, ["a", "b"]),
        ({"crop_code": [1, 1, 2], "crop_name": ["a", "x", "b"]}, None, ["1", "2"]),
    ],
)
def test_class_names(columns, name_field, names):
    found = column_labels(pd.DataFrame(columns), "crop_code", name_field=name_field)
    assert [one.name for one in found.classes] == names


@pytest.mark.parametrize(
    ("columns", "field", "name_field", "message"),
    [
        ({"crop": [1], "area": [2]}, "corp", None, "there is no column corp; the file has crop, area"),
        ({"crop": [1], "area": [2]}, "crop", "nam", "there is no column nam; the file has crop"),
        ({"area": [1.5]}, "area", None, "column area holds fractions such as 1.5; class codes are"),
        ({"crop": [None, None]}, "crop", None, "column crop is null everywhere; choose another"),
        ({"crop": [1, 1], "n": ["a", "b"]}, "crop", "n", r"code 1 of crop has several names .*\(a, b\)"),
    ],
)
def test_columns_that_are_no_labels(columns, field, name_field, message):
    with pytest.raises(InvalidLabels, match=message):
        column_labels(pd.DataFrame(columns), field, name_field=name_field)


def test_raster_labels_by_hand(tmp_path):
    raster = open_label_raster(_write(tmp_path / "crops.tif", CODES), GRID)
    assert (raster.name, raster.resampled) == ("crops", False)
    assert [one.code for one in raster.classes] == [3, 7, 9]
    assert raster.read(0, 1, (2, 3)).tolist() == [[1, 1, 0], [1, 0, 0]]
    assert np.array_equal(_decoded(raster), CODES)


@given(hnp.arrays(np.int32, (4, 6), elements=st.integers(-3, 3)).filter(np.any))
def test_raster_labels_point_back_to_their_codes(tmp_path_factory, codes):
    path = _write(tmp_path_factory.mktemp("labels") / "c.tif", codes, dtype="int32")
    assert np.array_equal(_decoded(open_label_raster(path, GRID)), codes)


def test_raster_of_another_extent_on_the_same_lattice_is_exact(tmp_path):
    path = _write(tmp_path / "c.tif", CODES, shift=(20, -10))
    raster = open_label_raster(path, GRID)
    expected = np.zeros_like(CODES)
    expected[1:, 2:] = CODES[:-1, :-2]
    assert not raster.resampled
    assert np.array_equal(_decoded(raster), expected)


def test_raster_on_another_grid_gives_the_nearest_pixel_and_says_so(tmp_path):
    raster = open_label_raster(_write(tmp_path / "c.tif", CODES[:2, :3], step=20), GRID)
    assert raster.resampled
    assert np.array_equal(_decoded(raster), CODES[:2, :3].repeat(2, 0).repeat(2, 1))


def test_nodata_is_unlabelled_in_integers_and_floats(tmp_path):
    expected = np.where(CODES == 9, 0, CODES)
    with_nodata = _write(tmp_path / "a.tif", CODES, nodata=9)
    floats = _write(tmp_path / "b.tif", np.where(CODES == 9, np.nan, CODES), dtype="float32")
    for path in (with_nodata, floats):
        assert np.array_equal(_decoded(open_label_raster(path, GRID)), expected)


def test_colours_come_from_the_colour_table_and_names_from_the_legend(tmp_path):
    path = _write(tmp_path / "c.tif", CODES, dtype="uint8")
    with rasterio.open(path, "r+") as raster:
        raster.write_colormap(1, {3: (255, 0, 0), 7: (0, 255, 0), 9: (0, 0, 255)})
    legend = tmp_path / "legend.json"
    legend.write_text(json.dumps([{"code": 7, "name": "Rye", "colour": "#00FFFF"}]))
    classes = open_label_raster(path, GRID, legend=legend).classes
    assert [one.name for one in classes] == ["3", "Rye", "9"]
    assert [one.colour for one in classes] == ["#ff0000", "#00ffff", "#0000ff"]


@pytest.mark.parametrize(
    "content",
    [
        [{"code": 7, "name": "Rye"}],
        {"classes": [{"code": 7, "name": "Rye", "pixels": 5}]},
        {"crops": {"nodata": 0, "classes": [{"code": 7, "name": "Rye"}]}, "note": "text"},
    ],
)
def test_legend_in_each_of_its_shapes(tmp_path, content):
    (tmp_path / "l.json").write_text(json.dumps(content))
    assert read_legend(tmp_path / "l.json", "crops")[7].name == "Rye"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "does not exist; a legend is a JSON list"),
        ("{", "is not JSON"),
        ('{"other": []}', "has no legend for crops; it has other"),
        ('[{"code": "x", "name": "y"}]', "valid integer.*a legend is a JSON list"),
        ('[{"code": 1, "name": "y", "colour": "red"}]', "should match pattern"),
        ("3", "should be a valid list"),
    ],
)
def test_files_that_are_no_legend(tmp_path, text, message):
    path = tmp_path / "legend.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InvalidLabels, match=message):
        read_legend(path, "crops")


@pytest.mark.parametrize(
    ("codes", "options", "message"),
    [
        (np.stack([CODES, CODES]), {}, "a label raster has one band, .* has 2"),
        (CODES, {"crs": None}, "does not say its CRS; assign one"),
        (CODES / 2, {"dtype": "float32"}, "holds fractions; class codes are integers"),
        (CODES * 0, {}, "has no labelled pixel within the cube"),
        (CODES, {"shift": (99990, 0)}, "has no labelled pixel within the cube"),
    ],
)
def test_rasters_that_are_no_labels(tmp_path, codes, options, message):
    path = _write(tmp_path / "c.tif", codes, **options)
    with pytest.raises(InvalidLabels, match=message):
        open_label_raster(path, GRID)


def test_files_that_are_no_raster(tmp_path):
    with pytest.raises(InvalidLabels, match="does not exist; give a raster"):
        open_label_raster(tmp_path / "none.tif", GRID)
    (tmp_path / "text.tif").write_text("text")
    with pytest.raises(InvalidLabels, match="cannot be read as a raster"):
        open_label_raster(tmp_path / "text.tif", GRID)


def test_majority_takes_the_commonest_label_and_of_equals_the_lower():
    labels = np.array([2, 2, 0, -1, -1, 1, 0, -1, -1], np.int32)
    found = majority(labels, np.array([0, 3, 5, 7]))
    assert found.tolist() == [2, -1, 0, -1]


def test_a_raster_of_measurements_is_refused(tmp_path):
    grid = GeoBox((40, 40), GRID.affine, GRID.crs)
    path = _write(tmp_path / "B04.tif", np.arange(1, 1601).reshape(40, 40))
    with pytest.raises(InvalidLabels, match=r"1600 different values .* give another raster"):
        open_label_raster(path, grid)

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import example, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from sits_data.errors import InvalidRequest, OutputExists, OutputNotWritable
from sits_data.manifest import LabelClass
from sits_models.geotiff import NO_CLASS, class_layer, new_cogs, probability_layer, read_classes

CLASSES = (
    LabelClass(code=1110, name="Wheat & <rye>", colour="#ffd700"),
    LabelClass(code="m", name="Maïs", colour="#0a0b0c"),
)
TAGS = {"software": "sits-models"}


def _grid(height: int, width: int, left: float = 500_000) -> GeoBox:
    return GeoBox((height, width), Affine(10, 0, left, 0, -10, 5_700_000), "EPSG:32631")


def _write(
    folder: Path, grid: GeoBox, classes, chances, *, overwrite: bool = False
) -> tuple[Path, Path]:
    out, prob = folder / "map.tif", folder / "map.prob.tif"
    layers = [class_layer(out, CLASSES, TAGS), probability_layer(prob, CLASSES, TAGS)]
    with new_cogs(layers, grid, overwrite=overwrite) as (first, second):
        first.write(classes, 1)
        second.write(chances)
    return out, prob


def _two_by_three(folder: Path, **options) -> tuple[Path, Path]:
    classes = np.array([[0, 1, NO_CLASS], [1, 0, 0]], np.uint8)
    chances = np.where(
        classes == NO_CLASS, np.nan, np.stack([classes == 0, classes == 1]) * 0.75 + 0.125
    )
    return _write(folder, _grid(2, 3), classes, chances.astype(np.float32), **options)


def test_cogs_hold_values_names_and_colours_at_their_place(tmp_path: Path) -> None:
    out, prob = _two_by_three(tmp_path / "new")
    with rasterio.open(out) as raster:
        assert raster.read(1).tolist() == [[0, 1, 255], [1, 0, 0]]
        assert (raster.dtypes, raster.nodata, raster.descriptions) == (("uint8",), 255, ("class",))
        assert raster.transform == Affine(10, 0, 500_000, 0, -10, 5_700_000)
        assert raster.crs.to_epsg() == 32631
        assert [raster.colormap(1)[value][:3] for value in (0, 1)] == [(255, 215, 0), (10, 11, 12)]
        assert raster.tags(1)["class_1"] == "Maïs"
        assert raster.tags()["software"] == "sits-models"
    with rasterio.open(prob) as raster:
        assert raster.descriptions == ("Wheat & <rye>", "Maïs")
        assert raster.dtypes == ("float32", "float32")
        first_row = raster.read()[:, 0]
        assert first_row[:, :2].tolist() == [[0.875, 0.125], [0.125, 0.875]]
        assert np.isnan(first_row[:, 2]).all()
        assert np.isnan(raster.nodata)
    assert sorted(path.name for path in out.parent.iterdir()) == ["map.prob.tif", "map.tif"]
    # QGIS takes the names from the raster attribute table, which lies in the file.
    assert b"<F>Wheat &amp; &lt;rye&gt;</F>" in out.read_bytes()


def test_read_classes_gives_back_what_was_written(tmp_path: Path) -> None:
    out, prob = _two_by_three(tmp_path)
    assert [(one.code, one.name, one.colour) for one in read_classes(out)] == [
        ("1110", "Wheat & <rye>", "#ffd700"),
        ("m", "Maïs", "#0a0b0c"),
    ]
    with pytest.raises(InvalidRequest, match="a map is a GeoTIFF of classes"):
        read_classes(prob)
    with pytest.raises(InvalidRequest, match="a map is a GeoTIFF of classes"):
        read_classes(tmp_path / "missing.tif")


@settings(max_examples=8, deadline=None)
@given(height=st.integers(1, 1300), width=st.integers(1, 1300), left=st.integers(0, 99_999))
@example(height=513, width=1, left=0)
@example(height=3, width=1300, left=0)
def test_layout_is_that_of_a_cog_on_any_grid(
    tmp_path_factory, height: int, width: int, left: int
) -> None:
    folder = tmp_path_factory.mktemp("cog")
    classes = np.random.default_rng(height).integers(0, 2, (height, width)).astype(np.uint8)
    chances = np.random.default_rng(width).random((2, height, width), np.float32)
    written = _write(folder, _grid(height, width, left * 10), classes, chances)
    for path, values in zip(written, (classes[None], chances), strict=True):
        with rasterio.open(path) as raster:
            assert np.array_equal(raster.read(), values)
            assert raster.transform.c == left * 10
            _check_layout(raster)


def _check_layout(raster: rasterio.DatasetReader) -> None:
    """As rio-cogeo does: tiles, overviews down to one tile, headers first, small before large."""
    assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    block = raster.block_shapes[0][0]
    assert raster.block_shapes[0] == (block, block)
    assert block <= 512
    overviews = raster.overviews(1)
    shrunk = overviews[-1] if overviews else 1
    assert max(raster.shape) / shrunk <= block or min(raster.shape) // shrunk <= 1  # as far as GDAL goes
    levels = [None, *range(len(overviews))]

    def place(item: str, level: int | None) -> int:
        found = raster.get_tag_item(item, "TIFF", bidx=1, ovr=level)
        return int(found or 0)

    headers = [place("IFD_OFFSET", level) for level in levels]
    tiles = [place("BLOCK_OFFSET_0_0", level) for level in levels]
    assert headers == sorted(headers)
    assert max(headers) < min(tile for tile in tiles if tile)
    assert tiles == sorted(tiles, reverse=True)


def test_windows_that_nobody_wrote_are_no_data(tmp_path: Path) -> None:
    out = tmp_path / "map.tif"
    with new_cogs([class_layer(out, CLASSES, {})], _grid(600, 40), overwrite=False) as (raster,):
        raster.write(np.ones((88, 40), np.uint8), 1, window=Window(0, 512, 40, 88))
    with rasterio.open(out) as raster:
        assert (raster.read(1)[:512] == NO_CLASS).all()
        assert (raster.read(1)[512:] == 1).all()


def test_nothing_is_left_when_the_block_fails(tmp_path: Path) -> None:
    before = _two_by_three(tmp_path)[0].read_bytes()
    layers = [class_layer(tmp_path / "map.tif", CLASSES, {})]
    with pytest.raises(RuntimeError, match="stop"), new_cogs(layers, _grid(2, 3), overwrite=True):
        raise RuntimeError("stop")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.prob.tif", "map.tif"]
    assert (tmp_path / "map.tif").read_bytes() == before


def test_files_that_are_there_are_replaced_only_when_asked(tmp_path: Path) -> None:
    _two_by_three(tmp_path)
    with pytest.raises(OutputExists, match=r"map\.tif exists; replace it with --overwrite"):
        _two_by_three(tmp_path)
    _two_by_three(tmp_path, overwrite=True)


@pytest.mark.parametrize(
    ("name", "classes", "error", "message"),
    [
        ("map.png", CLASSES, InvalidRequest, r"the map is a GeoTIFF, .*map\.png is not named so"),
        ("folder.tif", CLASSES, OutputExists, r"folder\.tif exists and is not a file"),
        ("link.tif", CLASSES, OutputExists, r"link\.tif exists and is not a file"),
        ("file/map.tif", CLASSES, OutputNotWritable, "cannot write .*File exists"),
        ("map.tif", CLASSES[:1] * 256, InvalidRequest, "a map holds at most 255 classes, got 256"),
    ],
)
def test_bad_output_is_named(tmp_path: Path, name, classes, error, message) -> None:
    (tmp_path / "folder.tif").mkdir()
    (tmp_path / "link.tif").symlink_to(tmp_path / "elsewhere.tif")
    (tmp_path / "file").touch()
    with (
        pytest.raises(error, match=message),
        new_cogs([class_layer(tmp_path / name, classes, {})], _grid(2, 3), overwrite=True),
    ):
        pytest.fail("the block must not start")


@pytest.mark.parametrize("limit", [1000, 2_900_000, 3_090_000])
def test_a_full_disk_is_told_in_one_line(tmp_path: Path, limit: int) -> None:
    """No file may be larger than the limit; the last one is met only while the COG is made."""
    code = f"""
import resource, signal
from pathlib import Path
import test_geotiff as this
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
this._write_noise(Path({str(tmp_path)!r}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "OutputNotWritable: cannot write" in last
    assert "make room or choose another place" in last
    assert list(tmp_path.iterdir()) == []


def _write_noise(folder: Path) -> None:
    chances = np.random.default_rng(0).random((2, 600, 600), np.float32)
    _write(folder, _grid(600, 600), np.zeros((600, 600), np.uint8), chances)

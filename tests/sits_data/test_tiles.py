"""Tiles that are decoded here: the pixels that GDAL reads, each fetched once, no flipped byte taken."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from sits_data import tiles
from sits_data.alignment import Part
from sits_data.errors import UnreadableSource
from sits_data.loaders import warp
from sits_data.rasters import CLASSES, GDAL_OPTIONS, REFLECTANCE, RasterReader
from sits_data.tiles import open_tiled, tiles_under
from sits_data.vsi import Range, VsiFile

SIDE, BLOCK = 300, 128
LATTICE = GeoBox((SIDE, SIDE), Affine(10, 0, 600000, 0, -10, 5100000), "EPSG:32632")
TILE_INDEX = {324, 325}
"""TIFF's tags of offsets and sizes."""

WINDOWS = [
    ((10, 250), (30, 200)),
    ((0, 1), (0, 1)),
    ((40, 300), (0, 120)),
    ((-50, 400), (-20, 310)),
    ((300, 340), (0, 100)),
    ((-90, -10), (500, 600)),
]
STRIPS = [{"tiled": False, "blockysize": rows} for rows in (64, SIDE)]
DECODED = [{}, {"predictor": 1}, {"bigtiff": "YES"}, {"sparse_ok": True}, *STRIPS]
LEFT_TO_GDAL = [
    *({"compress": "zstd"}, {"compress": "none", "predictor": 1}),
    *({"endianness": "big"}, {"nbits": 15, "predictor": 1}, {"nodata": 7}, {"dtype": "int32"}),
]


@pytest.fixture(scope="module")
def values() -> np.ndarray[Any, Any]:
    steps = np.random.default_rng(0).integers(-30, 30, (SIDE, SIDE))
    land = (2000 + steps.cumsum(1) + steps.cumsum(0)).clip(8, 20000).astype(np.uint16)
    land[:BLOCK, BLOCK : 2 * BLOCK] = 0  # not stored, where that is allowed
    return land


def write(path: Path, values: np.ndarray[Any, Any], **options: Any) -> Path:
    profile = {
        "driver": "GTiff", "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK,
        "compress": "deflate", "predictor": 2, "nodata": 0, "dtype": values.dtype,
        "crs": str(LATTICE.crs), "transform": LATTICE.transform, **options,
    }  # fmt: skip
    with rasterio.open(path, "w", width=SIDE, height=SIDE, count=1, **profile) as sink:
        sink.write(values.astype(profile["dtype"]), 1)
    return path


def read_all(path: Path, grids: list[GeoBox]) -> list[np.ndarray[Any, Any]]:
    targets = [(geobox, np.zeros(geobox.shape, np.uint16)) for geobox in grids]
    RasterReader(tries=1).read(str(path), targets, load=REFLECTANCE)
    return [values for _, values in targets]


def read(path: Path, geobox: GeoBox) -> np.ndarray[Any, Any]:
    return read_all(path, [geobox])[0]


def window_of(rows: tuple[int, int], cols: tuple[int, int]) -> GeoBox:
    shape = rows[1] - rows[0], cols[1] - cols[0]
    return GeoBox(shape, LATTICE.transform * Affine.translation(cols[0], rows[0]), "EPSG:32632")


def is_decoded_here(path: Path) -> bool:
    with (
        rasterio.open(path) as raster,
        open_tiled(raster, str(path), dtype=np.dtype(np.uint16)) as tiled,
    ):
        return tiled is not None


@pytest.mark.parametrize(("rows", "cols"), WINDOWS)
@pytest.mark.parametrize("kept", DECODED + LEFT_TO_GDAL)
def test_window_has_the_pixels_of_the_raster(
    rows: tuple[int, int],
    cols: tuple[int, int],
    kept: dict[str, Any],
    tmp_path: Path,
    values: np.ndarray[Any, Any],
) -> None:
    path = write(tmp_path / "band.tif", values, **kept)
    assert is_decoded_here(path) == (kept in DECODED)
    padded = np.pad(values, 600)
    expected = padded[rows[0] + 600 : rows[1] + 600, cols[0] + 600 : cols[1] + 600]
    assert np.array_equal(read(path, window_of(rows, cols)), expected)


@pytest.mark.parametrize("height", [31, 62, 64])
def test_raster_that_is_one_tile_wide(height: int, tmp_path: Path) -> None:
    """Which looks like strips."""
    path = tmp_path / "band.tif"
    small = np.random.default_rng(0).integers(1, 9000, (height, 32)).astype(np.uint16)
    with rasterio.open(
        path, "w", driver="COG", width=32, height=height, count=1, dtype="uint16", nodata=0,
        blocksize=32, compress="deflate", predictor=2, crs="EPSG:32632", transform=LATTICE.transform,
    ) as sink:  # fmt: skip
        sink.write(small, 1)
    assert is_decoded_here(path)
    assert np.array_equal(read(path, window_of((0, height), (0, 32))), small)


def test_window_without_gdal_of_rasterios_own(
    tmp_path: Path, values: np.ndarray[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "can_read", lambda: False)
    path = write(tmp_path / "band.tif", values)
    assert not is_decoded_here(path)
    assert np.array_equal(read(path, LATTICE), values)


@pytest.mark.parametrize("kept", [{}, {"compress": "zstd"}])
@pytest.mark.parametrize("zone", ["EPSG:32632", "EPSG:32633"])
def test_what_a_grid_shows_does_not_depend_on_others(
    zone: str, kept: dict[str, Any], tmp_path: Path, values: np.ndarray[Any, Any]
) -> None:
    """Far apart, or near enough for GDAL to read them at once."""
    path = write(tmp_path / "band.tif", values, **kept)
    grids = [LATTICE[:90, 40:130], LATTICE[100:250, 180:250], LATTICE[200:300, 0:300]]
    for chosen in (grids[:2], grids[1:], grids):
        warped = [geobox.to_crs(zone) for geobox in chosen]
        for geobox, together in zip(warped, read_all(path, warped), strict=True):
            assert np.array_equal(together, read(path, geobox))
            assert together.any()


def test_tiles_are_fetched_in_batches(
    tmp_path: Path, values: np.ndarray[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "_BATCH_BYTES", 70_000)
    path = write(tmp_path / "band.tif", values)
    assert np.array_equal(read(path, LATTICE), values)
    with rasterio.open(path) as raster:
        stored = tiles_under(raster, [(slice(0, SIDE), slice(0, SIDE))])
    assert len(list(tiles._batches(stored))) > 1
    assert max(tile.size for tile in stored) < 70_000


def test_tiles_under_parts_are_fetched_once_in_one_go(
    tmp_path: Path, values: np.ndarray[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neighbours in one range; what lies between two rows of tiles is not fetched."""
    path = write(tmp_path / "band.tif", values, predictor=1, compress="deflate", zlevel=1)
    fetched: list[list[Range]] = []
    plain_read = VsiFile.read

    def counted(self: VsiFile, ranges: list[Range], into: np.ndarray[Any, Any]) -> None:
        fetched.append(list(ranges))
        plain_read(self, ranges, into)

    monkeypatch.setattr(VsiFile, "read", counted)
    monkeypatch.setattr(tiles, "_NEAR_BYTES", 8)
    read_all(path, [LATTICE[200:210, :150], LATTICE[205:, :5]])
    header, bands = fetched
    assert header == [(0, 2)]
    with rasterio.open(path) as raster:
        left, right, below = tiles_under(
            raster, [(slice(200, 210), slice(0, 150)), (slice(256, 300), slice(0, 5))]
        )
    assert bands == [(left.offset, right.end - left.offset), (below.offset, below.size)]


@pytest.mark.parametrize("zone", ["EPSG:32632", "EPSG:32633"])
def test_flipped_bytes_are_noticed(zone: str, tmp_path: Path, values: np.ndarray[Any, Any]) -> None:
    """Whatever GDAL makes of them; a read of tiles that are whole is not disturbed."""
    path = write(tmp_path / "band.tif", values)
    with rasterio.open(path) as raster:
        (tile,) = tiles_under(raster, [(slice(20, 100), slice(20, 100))])
    data = path.read_bytes()
    damaged, sound = LATTICE[20:100, 20:100].to_crs(zone), LATTICE[BLOCK:, BLOCK:]
    for place in range(tile.offset + 10, tile.end - 10, tile.size // 9):
        path.write_bytes(data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :])
        with pytest.raises(UnreadableSource, match="differs from its checksum"):
            read(path, damaged)
        assert np.array_equal(read(path, sound), values[BLOCK:, BLOCK:])


def test_tile_that_holds_too_little(tmp_path: Path, values: np.ndarray[Any, Any]) -> None:
    """Whole to its checksum, but of a smaller tile."""
    path = write(tmp_path / "band.tif", values)
    small = write(tmp_path / "small.tif", values, blockxsize=64, blockysize=64)
    with rasterio.open(path) as raster, rasterio.open(small) as other:
        (tile,) = tiles_under(raster, [(slice(0, 1), slice(0, 1))])
        (less,) = tiles_under(other, [(slice(0, 1), slice(0, 1))])
    assert less.size < tile.size
    stored = small.read_bytes()[less.offset : less.end].ljust(tile.size, b"\0")
    data = path.read_bytes()
    path.write_bytes(data[: tile.offset] + stored + data[tile.end :])
    with pytest.raises(UnreadableSource, match="a tile"):
        read(path, LATTICE[:100, :100])


def test_file_that_ends_before_its_tiles(tmp_path: Path, values: np.ndarray[Any, Any]) -> None:
    path = write(tmp_path / "band.tif", values)
    with rasterio.open(path) as raster:
        last = tiles_under(raster, [(slice(0, SIDE), slice(0, SIDE))])[-1]
    path.write_bytes(path.read_bytes()[: last.end - 5])
    with pytest.raises(UnreadableSource):
        read(path, LATTICE)


def test_raster_of_another_type_in_another_zone(tmp_path: Path, values: np.ndarray[Any, Any]) -> None:
    path = write(tmp_path / "band.tif", values, dtype="int32")
    geobox = LATTICE[150:250, 20:200].to_crs("EPSG:32633")
    odc = np.zeros(geobox.shape, np.uint16)
    warp(str(path), (geobox, odc), loader="odc", load=REFLECTANCE, options=GDAL_OPTIONS)
    assert np.array_equal(read(path, geobox), odc)
    assert odc.any()


@pytest.mark.parametrize("load", [REFLECTANCE, CLASSES])
@pytest.mark.parametrize("part", [(slice(0, 300), slice(0, 300)), (slice(120, 140), slice(100, 160))])
@pytest.mark.parametrize("holes", [False, True])
def test_warped_tiles_are_those_of_odc_stac(holes: bool, load: Any, part: Part, tmp_path: Path) -> None:
    """To the bit; at the raster's edge odc-stac warps a little less, so that a few pixels differ."""
    noise = np.random.default_rng(0).integers(0 if holes else 1, 200, (SIDE, SIDE)).astype(load.dtype)
    path = write(tmp_path / "band.tif", noise)
    geobox = LATTICE[part].to_crs("EPSG:32633")
    ours, odc = (np.zeros(geobox.shape, load.dtype) for _ in range(2))
    RasterReader().read(str(path), [(geobox, ours)], load=load)
    warp(str(path), (geobox, odc), loader="odc", load=load, options=GDAL_OPTIONS)
    at_edge = part[0].stop == SIDE
    assert (ours == odc).mean() >= (0.995 if at_edge else 1)
    assert np.array_equal(ours == 0, odc == 0)
    assert ours.any()


@pytest.mark.parametrize("zone", ["EPSG:32632", "EPSG:32633"])
def test_tiles_that_lie_nobody_knows_where(
    zone: str, tmp_path: Path, values: np.ndarray[Any, Any]
) -> None:
    """The index of the tiles, at the end of the file, is cut off: nothing is taken for not stored."""
    path = write(tmp_path / "band.tif", values)
    data = bytearray(path.read_bytes())
    entries = int.from_bytes(data[4:8], "little")
    for number in range(int.from_bytes(data[entries : entries + 2], "little")):
        at = entries + 2 + 12 * number
        if int.from_bytes(data[at : at + 2], "little") in TILE_INDEX:
            data[at + 8 : at + 12] = (len(data) + 1000).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(UnreadableSource):
        read(path, LATTICE[20:100, 20:100].to_crs(zone))


def test_raster_that_lies_south_up(tmp_path: Path, values: np.ndarray[Any, Any]) -> None:
    path = write(tmp_path / "band.tif", values)
    upside_down = LATTICE.transform * Affine(1, 0, 0, 0, -1, SIDE)
    south_up = write(tmp_path / "south.tif", values[::-1], transform=upside_down)
    for zone in ("EPSG:32632", "EPSG:32633"):
        geobox = LATTICE[140:280, 20:200].to_crs(zone)
        one, other = read(path, geobox), read(south_up, geobox)
        assert np.abs(one.astype(int) - other).max() <= 1
        assert one.any()


def test_raster_without_crs(tmp_path: Path, values: np.ndarray[Any, Any]) -> None:
    path = write(tmp_path / "band.tif", values, crs=None)
    with pytest.raises(UnreadableSource, match="it has no CRS"):
        read(path, LATTICE)

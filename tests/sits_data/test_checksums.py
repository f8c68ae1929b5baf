"""Reads that hold tiles against their checksums: the same pixels, and hardly a second decoding."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioIOError

from sits_data import checksums
from sits_data.checksums import check_rows
from sits_data.errors import UnreadableSource
from sits_data.rasters import REFLECTANCE, RasterReader
from sits_data.tiles import read_by_rows, tiles_under

SIDE, BLOCK = 300, 128
LATTICE = GeoBox((SIDE, SIDE), Affine(10, 0, 600000, 0, -10, 5100000), "EPSG:32632")


@pytest.fixture(scope="module")
def values() -> np.ndarray[Any, Any]:
    steps = np.random.default_rng(0).integers(-30, 30, (SIDE, SIDE))
    return (2000 + steps.cumsum(1) + steps.cumsum(0)).clip(1, 20000).astype(np.uint16)


def write(path: Path, values: np.ndarray[Any, Any], **options: Any) -> Path:
    profile = {
        "driver": "GTiff", "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK,
        "compress": "deflate", "predictor": 2, "nodata": 0, **options,
    }  # fmt: skip
    with rasterio.open(
        path, "w", width=SIDE, height=SIDE, count=1, dtype=values.dtype, crs=str(LATTICE.crs),
        transform=LATTICE.transform, **profile,
    ) as sink:  # fmt: skip
        sink.write(values, 1)
    return path


def read(path: Path, geobox: GeoBox) -> np.ndarray[Any, Any]:
    """What `RasterReader` does over plain HTTP, on a file."""
    out = np.zeros(geobox.shape, np.uint16)
    with rasterio.open(path) as raster:
        under = tiles_under(raster, geobox)
        if under is not None and under.corner is not None:
            check_rows(str(path), under, read_by_rows(raster, under, out))
            return out
    RasterReader().read(str(path), geobox, REFLECTANCE, out)
    if under is not None:
        check_rows(str(path), under, ((row, None) for row in under.rows))
    return out


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the tiles that were decoded a second time."""
    sizes: list[int] = []
    decode = checksums._decode

    def counted(compressed: bytes) -> None:
        sizes.append(len(compressed))
        decode(compressed)

    monkeypatch.setattr(checksums, "_decode", counted)
    return sizes


@pytest.mark.parametrize(
    ("rows", "cols"),
    [
        ((10, 250), (30, 200)),
        ((0, 1), (0, 1)),
        ((40, 300), (0, 120)),
        ((-50, 400), (-20, 310)),
        ((300, 340), (0, 100)),
        ((-90, -10), (500, 600)),
    ],
)
@pytest.mark.parametrize("kept", [{}, {"predictor": 1}, {"compress": "zstd"}])
def test_window_has_the_pixels_of_the_raster(
    rows: tuple[int, int],
    cols: tuple[int, int],
    kept: dict[str, Any],
    tmp_path: Path,
    values: np.ndarray[Any, Any],
    decoded: list[int],
) -> None:
    """Nothing is decoded a second time; zstd has no checksum to hold tiles against."""
    path = write(tmp_path / "band.tif", values, **kept)
    height, width = rows[1] - rows[0], cols[1] - cols[0]
    geobox = GeoBox(
        (height, width), LATTICE.transform * Affine.translation(cols[0], rows[0]), "EPSG:32632"
    )
    padded = np.pad(values, 600)
    expected = padded[rows[0] + 600 : rows[1] + 600, cols[0] + 600 : cols[1] + 600]
    assert np.array_equal(read(path, geobox), expected)
    assert not decoded


@pytest.mark.parametrize("kept", [{"endianness": "big"}, {"predictor": 3}])
def test_tile_whose_pixels_do_not_sum_up_is_decoded_before_it_is_blamed(
    kept: dict[str, Any], tmp_path: Path, values: np.ndarray[Any, Any], decoded: list[int]
) -> None:
    dtype = np.float32 if "predictor" in kept else np.uint16
    path = write(tmp_path / "band.tif", values.astype(dtype), **kept)
    geobox = LATTICE[:BLOCK, : 2 * BLOCK]
    assert np.array_equal(read(path, geobox), values[:BLOCK, : 2 * BLOCK])
    assert len(decoded) == 2


def test_warped_tiles_are_decoded(
    tmp_path: Path, values: np.ndarray[Any, Any], decoded: list[int]
) -> None:
    path = write(tmp_path / "band.tif", values)
    other = LATTICE[20:100, 20:100].to_crs("EPSG:32633")
    assert read(path, other).any()
    assert len(decoded) == 1


@pytest.mark.parametrize("zone", ["EPSG:32632", "EPSG:32633"])
def test_flipped_bytes_are_noticed(zone: str, tmp_path: Path, values: np.ndarray[Any, Any]) -> None:
    """Whatever GDAL makes of them; a read of tiles that are whole is not disturbed."""
    path = write(tmp_path / "band.tif", values)
    with rasterio.open(path) as raster:
        at, size = (
            int(raster.get_tag_item(f"BLOCK_{k}_0_0", "TIFF", bidx=1)) for k in ("OFFSET", "SIZE")
        )
    data = path.read_bytes()
    for place in range(at + 10, at + size - 10, size // 9):
        path.write_bytes(data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :])
        with pytest.raises((RasterioIOError, UnreadableSource)):
            read(path, LATTICE[20:100, 20:100].to_crs(zone))
        sound = LATTICE[BLOCK:, BLOCK:]
        assert np.array_equal(read(path, sound), values[BLOCK:, BLOCK:])

"""The cube contract (docs/formats.md), to the letter."""

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import odc.geo.xr  # noqa: F401  (registers .odc)
import pytest
import rasterio
import xarray as xr
import zarr
from tiny_catalogue import GRID, Product, daily, request, shifted, write_catalogue

from sits_data import open_cube
from sits_data.build import build_cube
from sits_data.cube import is_cube, open_raw
from sits_data.errors import IncompleteCube, NotACube
from sits_data.mask import qa_from_scl
from sits_data.units import UnitWriter

TWO = Product(
    id="twin", when="2020-01-02T10:50:14Z",
    properties={"grid:code": "MGRS-31UFR", "view:sun_azimuth": 161.5, "eo:cloud_cover": 99},
)  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days, two scenes on the second; the first day misses a few pixels."""
    folder = tmp_path_factory.mktemp("cube")
    first, *others = daily(3)
    red = first.array("B04")
    red[0, :3] = 0
    products = [Product(id=first.id, when=first.when, values={"B04": red}), *others, TWO]
    return build_cube(request(write_catalogue(folder, products)), folder / "c.zarr").path


def metadata(path: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((path / name / "zarr.json").read_text())
    return content


@pytest.mark.parametrize(
    ("name", "dtype", "fill", "dims"),
    [
        ("reflectance", "uint16", 0, ["time", "band", "y", "x"]),
        ("scl", "uint8", 0, ["time", "y", "x"]),
        ("qa", "uint8", 128, ["time", "y", "x"]),
        ("scene_index", "int16", -1, ["time", "y", "x"]),
    ],
)
def test_array_is_as_promised(name: str, dtype: str, fill: int, dims: list[str], path: Path) -> None:
    content = metadata(path, name)
    assert content["zarr_format"] == 3
    assert content["data_type"] == dtype
    assert content["fill_value"] == fill
    assert content["dimension_names"] == dims
    bands = [2] if "band" in dims else []
    assert content["chunk_grid"]["configuration"]["chunk_shape"] == [1, *bands, 512, 512]
    assert [codec["name"] for codec in content["codecs"]][-1] == "blosc"
    assert "sharding_indexed" not in [codec["name"] for codec in content["codecs"]]
    blosc = content["codecs"][-1]["configuration"]
    assert (blosc["cname"], blosc["shuffle"]) == ("zstd", "bitshuffle")
    assert blosc["typesize"] == np.dtype(dtype).itemsize
    assert ("_FillValue" in content["attributes"]) == (name == "reflectance")


def test_reflectance_says_how_it_is_decoded(path: Path) -> None:
    attributes = metadata(path, "reflectance")["attributes"]
    assert attributes["_FillValue"] == 0
    assert attributes["scale_factor"] == 1e-4
    assert attributes["add_offset"] == -0.1
    assert attributes["grid_mapping"] == "spatial_ref"


def test_flags_are_described(path: Path) -> None:
    qa, scl = (metadata(path, name)["attributes"] for name in ("qa", "scl"))
    assert qa["flag_masks"] == [1, 2, 4, 8, 16, 32, 64, 128]
    assert len(qa["flag_meanings"].split()) == 8
    assert scl["flag_values"] == list(range(12))
    assert len(scl["flag_meanings"].split()) == 12


def test_time_is_midnight_of_the_solar_day(path: Path) -> None:
    days = [f"2020-01-0{d}T00:00:00" for d in (1, 2, 3)]
    assert xr.open_zarr(path)["time"].dt.strftime("%Y-%m-%dT%H:%M:%S").values.tolist() == days
    assert metadata(path, "time")["attributes"]["units"] == "days since 1970-01-01"


def test_plain_xarray_decodes(path: Path) -> None:
    cube, raw = xr.open_zarr(path), open_raw(path)
    dn = raw.read("reflectance")
    expected = np.where(dn == 0, np.nan, dn * 1e-4 - 0.1)
    assert cube["reflectance"].dtype == np.float64
    np.testing.assert_allclose(cube["reflectance"].values, expected, atol=1e-12)
    assert np.isnan(cube["reflectance"].values).sum() == 3
    assert cube["scl"].dtype == cube["qa"].dtype == np.uint8
    assert cube["scene_index"].dtype == np.int16
    assert cube["band"].values.tolist() == ["B04", "B11"]


def test_open_cube_gives_float32(path: Path) -> None:
    cube, raw = open_cube(path), open_raw(path)
    dn = raw.read("reflectance")
    assert cube["reflectance"].dims == ("time", "band", "y", "x")
    assert cube["reflectance"].dtype == np.float32
    np.testing.assert_allclose(
        cube["reflectance"].values, np.where(dn == 0, np.nan, dn * 1e-4 - 0.1), atol=1e-6
    )
    assert np.array_equal(cube["qa"].values, raw.read("qa"))


def test_open_cube_is_lazy(path: Path) -> None:
    assert all(cube.chunks is not None for cube in open_cube(path).data_vars.values())


def test_qa_is_a_lookup_of_scl(path: Path) -> None:
    cube = open_raw(path)
    assert np.array_equal(cube.read("qa"), qa_from_scl(cube.read("scl")))


@pytest.mark.parametrize("opened", [xr.open_zarr, open_cube])
def test_xarray_knows_the_grid(opened: Any, path: Path) -> None:
    cube = opened(path)
    assert cube.odc.geobox == GRID.geobox
    assert cube["x"].values.tolist() == [600005 + 10 * i for i in range(12)]
    assert cube["y"].values.tolist() == [5639995 - 10 * i for i in range(18)]


@pytest.mark.parametrize("part", ["/reflectance:1:0", "/scl:1", "/qa:1"])
def test_gdal_knows_the_grid(part: str, path: Path) -> None:
    with rasterio.open(f'ZARR:"{path}":{part}') as raster:
        assert raster.crs == "EPSG:32631"
        assert raster.transform == rasterio.Affine(10, 0, 600000, 0, -10, 5640000)
        got = raster.read(1)
    name, *index = part.strip("/").split(":")
    assert np.array_equal(got, open_raw(path).array(name)[tuple(map(int, index))])


def test_scenes_are_described(path: Path) -> None:
    cube = open_cube(path)
    assert cube["scene"].values.tolist() == [daily(3)[0].id, daily(3)[1].id, "twin", daily(3)[2].id]
    assert cube["scene_time_index"].values.tolist() == [0, 1, 1, 2]
    assert set(cube["scene_platform"].values) == {"sentinel-2a"}
    assert set(cube["scene_baseline"].values) == {"02.13"}
    assert cube["scene_tile"].values.tolist() == ["31UFS", "31UFS", "31UFR", "31UFS"]
    assert cube["scene_offset_dn"].values.tolist() == [0] * 4
    assert set(cube["scene_offset_source"].values) == {"earthsearch:boa_offset_applied+baseline"}
    assert cube["scene_cloud_pct"].values.tolist() == [10, 10, 99, 10]
    assert np.isnan(cube["scene_sun_azimuth"].values).tolist() == [True, True, False, True]
    assert str(cube["scene_datetime"].values[2]).startswith("2020-01-02T10:50:14")
    assert {"scene_view_azimuth", "scene_view_incidence", "scene_sun_elevation"} <= set(cube.coords)


def test_scene_index_points_at_the_scene(path: Path) -> None:
    cube = open_raw(path)
    assert [np.unique(cube.read("scene_index", t)).tolist() for t in range(3)] == [[0], [1], [3]]
    assert np.array_equal(cube.read("reflectance", 2)[0], shifted(daily(3)[2].array("B04")))


def test_no_scene_index_without_need(tiny: Path, tmp_path: Path) -> None:
    out = build_cube(request(tiny / "catalog.json"), tmp_path / "c.zarr").path
    assert "scene_index" not in open_raw(out).group
    assert not (out / "scene_index").exists()


def test_zarrs_and_zarr_python_agree(path: Path) -> None:
    plain = zarr.open_group(path, mode="r")
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
        fast = zarr.open_group(path, mode="r")
        for name in ("reflectance", "scl", "qa", "scene_index"):
            assert np.array_equal(plain[name][:], fast[name][:])


def test_clear_fraction_counts_each_date(path: Path) -> None:
    cube = open_raw(path)
    scl = cube.read("scl")
    for preset, unclear in (
        ("permissive", [0, 1, 3, 8, 9]),
        ("standard", [0, 1, 3, 8, 9, 10, 11]),
        ("strict", [0, 1, 2, 3, 7, 8, 9, 10, 11]),
    ):
        expected = (~np.isin(scl, unclear)).mean(axis=(1, 2))
        np.testing.assert_allclose(cube.clear_fraction(preset), expected)  # type: ignore[arg-type]


def test_unfinished_cube_is_refused(path: Path, tmp_path: Path) -> None:
    content = metadata(path, ".")
    content["attributes"]["status"] = "building"
    (tmp_path / "c.zarr").mkdir()
    (tmp_path / "c.zarr/zarr.json").write_text(json.dumps(content))
    with pytest.raises(IncompleteCube, match="same build-cube command"):
        open_cube(tmp_path / "c.zarr")
    assert is_cube(tmp_path / "c.zarr")


def test_chunk_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        UnitWriter(tmp_path).write("scl", (0, 0, 0), np.ones((1, 512, 512), np.uint8), fill=0)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "not a cube"),
        ("", "not a readable Zarr group"),
        ("[]", "not a readable Zarr group"),
        ("{}", "not a cube"),
        ('{"zarr_format": 3, "node_type": "group"}', "not a cube"),
        ('{"zarr_format": 3, "node_type": "group", "attributes": {"schema": "x"}}', "not a cube"),
        (
            '{"zarr_format": 3, "node_type": "group",'
            ' "attributes": {"schema": "sits-cube", "schema_version": 9}}',
            "cube schema 9, this version reads 1",
        ),
        (
            '{"zarr_format": 3, "node_type": "group", "attributes": {"schema": "sits-cube",'
            ' "schema_version": 1, "status": "complete"}}',
            "does not tell its grid",
        ),
    ],
)
def test_other_folders_are_not_cubes(content: str | None, says: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "zarr.json").write_text(content)
    with pytest.raises(NotACube, match=says):
        open_cube(tmp_path)

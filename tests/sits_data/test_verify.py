from pathlib import Path

import pytest
from installed import Run
from tiny_catalogue import daily, request, write_aoi, write_catalogue

from sits_data.build import build_cube
from sits_data.derive import composite_cube
from sits_data.errors import NotACube
from sits_data.ledger import state_folder
from sits_data.status import cube_status
from sits_data.verify import verify_cube


@pytest.fixture
def cube(tmp_path: Path) -> Path:
    catalog = write_catalogue(tmp_path / "catalogue", daily(3))
    return build_cube(request(catalog), tmp_path / "c.zarr").path


def rebuild(cube: Path) -> None:
    build_cube(request(cube.parent / "catalogue/catalog.json"), cube)


def test_whole_cube(cube: Path) -> None:
    found = verify_cube(cube)
    assert (found.files, found.damaged) == (9, ())
    assert found.compared_with == "checksums of its chunks"


@pytest.mark.parametrize("name", ["reflectance/c/1/0/0/0", "scl/c/1/0/0", "qa/c/1/0/0"])
@pytest.mark.parametrize("harm", ["one bit", "cut", "lost"])
def test_damage_is_found_and_mended(name: str, harm: str, cube: Path) -> None:
    file = cube / name
    good = file.read_bytes()
    if harm == "lost":
        file.unlink()
    else:
        flipped = good[:40] + bytes([good[40] ^ 1]) + good[41:]
        file.write_bytes(flipped if harm == "one bit" else good[:-7])
    found = verify_cube(cube, mend=True)
    assert len(found.damaged) == found.mended == 1
    assert name in found.damaged[0]
    assert (cube_status(cube).exit_code, cube_status(cube).damaged) == (4, 1)
    rebuild(cube)
    assert file.read_bytes() == good
    assert not verify_cube(cube).damaged
    assert cube_status(cube).exit_code == 0


def test_looking_does_not_mend(cube: Path) -> None:
    (cube / "qa/c/1/0/0").write_bytes(b"")
    ledger = (state_folder(cube) / "ledger.jsonl").read_bytes()
    assert len(verify_cube(cube).damaged) == 1
    assert (state_folder(cube) / "ledger.jsonl").read_bytes() == ledger


def test_cube_without_a_ledger_is_decoded(cube: Path) -> None:
    (state_folder(cube) / "ledger.jsonl").unlink()
    found = verify_cube(cube)
    assert (found.files, found.damaged) == (9, ())
    assert found.compared_with == "the checksum of its item"
    good = (cube / "scl/c/2/0/0").read_bytes()
    (cube / "scl/c/2/0/0").write_bytes(b"nonsense")
    assert len(verify_cube(cube).damaged) == 1
    (cube / "scl/c/2/0/0").unlink()
    assert "not those of c.zarr.item.json" in verify_cube(cube).damaged[0]
    (cube / "scl/c/2/0/0").write_bytes(good)
    (cube.parent / "c.zarr.item.json").unlink()
    assert verify_cube(cube).compared_with == "nothing, only decoded"


def test_hole_in_a_derived_cube_is_found(cube: Path) -> None:
    out = cube.with_name("monthly.zarr")
    composite_cube(cube, out)
    assert not verify_cube(out).damaged
    next(p for p in (out / "reflectance/c").rglob("*") if p.is_file()).unlink()
    assert len(verify_cube(out).damaged) == 1
    with pytest.raises(NotACube, match=r"is derived from c\.zarr"):
        cube_status(out)


def test_no_cube(tmp_path: Path) -> None:
    with pytest.raises(NotACube):
        verify_cube(tmp_path)
    with pytest.raises(NotACube):
        cube_status(tmp_path)


def test_commands_say_it_with_exit_codes(tmp_path: Path, sits_data: Run) -> None:
    products = daily(3)
    catalog = write_catalogue(tmp_path / "catalogue", products)
    build = (
        *("build-cube", "--aoi", write_aoi(tmp_path / "aoi.geojson"), "--catalog", catalog),
        *("--start", "2020-01-01", "--end", "2020-12-31", "--bands", "red,swir16", "--out", "c.zarr"),
    )
    raster = tmp_path / "catalogue/items" / products[1].id / "B11.tif"
    good = raster.read_bytes()
    raster.write_bytes(good[:100])
    stopped = sits_data(*build)
    assert stopped.returncode == 4, stopped.stderr
    assert "1 unit could not be read, 2 are done" in stopped.stderr
    assert sits_data("status", "c.zarr").returncode == 4
    assert sits_data("verify", "c.zarr").returncode == 4
    skipped = sits_data(*build, "--on-error", "skip")
    assert skipped.returncode == 3, skipped.stderr
    status = sits_data("status", "c.zarr")
    assert status.returncode == 3
    assert "failed: 2020-01-02, block 0/0" in status.stdout
    assert sits_data("verify", "c.zarr").returncode == 3
    raster.write_bytes(good)
    assert sits_data(*build).returncode == 0
    assert sits_data("status", "c.zarr").returncode == 0
    (tmp_path / "c.zarr/qa/c/0/0/0").write_bytes(b"x")
    assert sits_data("verify", "c.zarr").returncode == 1
    assert sits_data("verify", "c.zarr", "--mend").returncode == 1
    assert sits_data(*build).returncode == 0
    assert sits_data("verify", "c.zarr").returncode == 0

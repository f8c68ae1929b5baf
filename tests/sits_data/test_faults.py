"""What a network and a disk can do to a build: no silent hole, and the same bytes in the end."""

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fault_server import FaultServer
from tiny_catalogue import Product, daily, request, write_catalogue

from sits_data import patience, rasters, units
from sits_data.build import BuildOptions, BuildResult, build_cube
from sits_data.cube import open_raw
from sits_data.errors import OutputNotWritable, SitsDataError, UnreadableSource
from sits_data.grid import Grid
from sits_data.ledger import read_ledger, state_folder
from sits_data.status import cube_status

WIDE = Grid(crs="EPSG:32631", resolution_m=10, left=600000, bottom=5633640, right=606600, top=5640000)
"""636 rows and 660 columns: 2 x 2 blocks, in tiles of 256 px."""

DAYS = 3
FAULTY = 1
"""Index of the day whose B04 is behind a fault."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rasters of three days, and the cube of an undisturbed build of them from disk."""
    folder = tmp_path_factory.mktemp("faults")
    catalog = write_catalogue(folder / "catalogue", daily(DAYS, grid=WIDE))
    build_cube(request(catalog, WIDE), folder / "whole.zarr")
    return folder


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.01)


@pytest.fixture
def server(folder: Path) -> Iterator[FaultServer]:
    with FaultServer(folder / "catalogue") as server:
        yield server


def behind(server: FaultServer, folder: Path, mode: str) -> Path:
    """The same catalogue with one raster behind a fault, the others on the same server."""
    products = [
        Product(
            **vars(one)
            | {
                "hrefs": {
                    key: f"{server.url}/{mode if key == 'B04' and day == FAULTY else 'ok'}"
                    f"/items/{one.id}/{key}.tif"
                    for key in ("B04", "B11", "scl")
                }
            }
        )
        for day, one in enumerate(daily(DAYS, grid=WIDE))
    ]
    return write_catalogue(folder, products)


def chunks(cube: Path) -> dict[str, bytes]:
    names = ("reflectance", "scl", "qa")
    return {
        str(p.relative_to(cube)): p.read_bytes()
        for name in names
        for p in (cube / name / "c").rglob("*")
        if p.is_file()
    }


def build(server: FaultServer, tmp_path: Path, mode: str, **options: object) -> BuildResult:
    catalog = behind(server, tmp_path / "catalogue", mode)
    return build_cube(
        request(catalog, WIDE), tmp_path / "c.zarr", options=BuildOptions(threads=2, **options)
    )


@pytest.mark.parametrize("mode", ["ok", "e503-once", "e429-once", "e403-once", "cut-once", "flip-once"])
def test_what_fails_once_is_read_again(
    mode: str, folder: Path, server: FaultServer, tmp_path: Path
) -> None:
    result = build(server, tmp_path, mode)
    assert not result.failed
    assert chunks(result.path) == chunks(folder / "whole.zarr")
    assert cube_status(result.path).progress == "complete"


@pytest.mark.parametrize("mode", ["e503", "e404", "e403", "cut", "flip"])
def test_what_always_fails_is_marked_and_the_rest_is_built(
    mode: str, folder: Path, server: FaultServer, tmp_path: Path
) -> None:
    result = build(server, tmp_path, mode, on_error="skip", tries=2)
    cube, whole = open_raw(result.path), open_raw(folder / "whole.zarr")
    failed = {row.unit for row in result.failed}
    assert failed
    assert all(unit.time == FAULTY for unit in failed)
    assert cube.attributes["units_failed"] == len(failed)
    for day in range(DAYS):
        wrong = cube.read("qa", day) == 64
        right = ~wrong
        assert wrong.any() == (day == FAULTY)
        for name in ("scl", "qa"):
            assert np.array_equal(cube.read(name, day)[right], whole.read(name, day)[right])
        same = cube.read("reflectance", day) == whole.read("reflectance", day)
        assert same[:, right].all()
        assert (cube.read("reflectance", day)[:, wrong] == 0).all()
    status = cube_status(result.path)
    assert (status.exit_code, len(status.failed)) == (3, len(failed))
    assert status.failed[0].why

    again = build_cube(result.plan.request, result.path, options=BuildOptions(tries=1, on_error="skip"))
    assert {row.unit for row in again.failed} == failed


def test_only_units_under_a_damaged_tile_fail(server: FaultServer, tmp_path: Path) -> None:
    """The server zeroes bytes of one read: the other blocks of the window are read by themselves."""
    result = build(server, tmp_path, "flip", on_error="skip", tries=1)
    assert {row.unit.time for row in result.failed} == {FAULTY}
    assert len(result.failed) <= 4


def test_mended_source_gives_the_bytes_of_an_undisturbed_build(
    folder: Path, server: FaultServer, tmp_path: Path
) -> None:
    first = build(server, tmp_path, "e503", on_error="skip", tries=1)
    assert first.failed
    before = {p: p.stat().st_mtime_ns for p in first.path.rglob("*") if p.is_file()}
    server.broken = False
    again = build_cube(first.plan.request, first.path, options=BuildOptions(on_error="skip"))
    assert not again.failed
    assert again.resumed == 4 * DAYS - len(first.failed)
    assert chunks(first.path) == chunks(folder / "whole.zarr")
    assert "units_failed" not in open_raw(first.path).attributes
    good = [
        p for p in before if p.match("*/reflectance/c/0/*/*/*") or p.match("*/reflectance/c/2/*/*/*")
    ]
    assert len(good) == 8
    assert all(p.stat().st_mtime_ns == before[p] for p in good)


@pytest.mark.parametrize(("policy", "finished"), [("retry", 8), ("raise", None)])
def test_build_stops_with_exit_code_4(
    policy: str, finished: int | None, server: FaultServer, tmp_path: Path
) -> None:
    with pytest.raises(UnreadableSource, match="B04") as caught:
        build(server, tmp_path, "e503", on_error=policy, tries=1)
    rows = read_ledger(state_folder(tmp_path / "c.zarr") / "ledger.jsonl").values()
    done = sum(row.done for row in rows)
    assert finished is None or done >= finished
    assert caught.value.exit_code == (4 if done else 1)
    status = cube_status(tmp_path / "c.zarr")
    assert (status.progress, status.exit_code) == ("unfinished", 4)


def test_nothing_finished_is_exit_code_1(server: FaultServer, tmp_path: Path) -> None:
    hrefs = {"B04": f"{server.url}/e404/none.tif"}
    catalog = write_catalogue(tmp_path / "catalogue", daily(2, hrefs=hrefs))
    with pytest.raises(UnreadableSource, match="HTTP 404") as caught:
        build_cube(request(catalog), tmp_path / "c.zarr")
    assert caught.value.exit_code == 1


def test_missing_file_is_not_asked_for_again(
    server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hrefs = {"B04": f"{server.url}/ok/none.tif"}
    catalog = write_catalogue(tmp_path / "catalogue", daily(1, hrefs=hrefs))
    asked = []
    monkeypatch.setattr(
        rasters, "ask", lambda address: (asked.append(address), patience.ask(address))[1]
    )
    with pytest.raises(UnreadableSource, match="it is not there"):
        build_cube(request(catalog), tmp_path / "c.zarr", options=BuildOptions(on_error="raise"))
    assert asked == [hrefs["B04"]]


def test_retry_after_is_waited_for(server: FaultServer, tmp_path: Path) -> None:
    server.header, server.retry_after_s = 0, 2
    began = time.monotonic()
    result = build(server, tmp_path, "e429-once")
    assert not result.failed
    assert time.monotonic() - began >= 2


def test_slow_drip_ends_at_the_deadline(server: FaultServer, tmp_path: Path) -> None:
    began = time.monotonic()
    result = build(server, tmp_path, "drip", on_error="skip", deadline_s=1.5)
    assert time.monotonic() - began < 120  # the body alone would drip for ten minutes
    assert {row.unit.time for row in result.failed} == {FAULTY}
    assert "--deadline" in result.failed[0].why
    with pytest.raises(UnreadableSource, match="--deadline"):
        build_cube(
            result.plan.request, result.path, options=BuildOptions(on_error="raise", deadline_s=0.5)
        )


def test_full_disk_keeps_what_is_finished(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = request(folder / "catalogue/catalog.json", WIDE)
    write, count = Path.write_bytes, [0]

    def full(self: Path, data: bytes) -> int:
        if units.PARTIAL in self.name and "c.zarr" in str(self):
            count[0] += 1
            if count[0] > 20:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputNotWritable, match="make room") as caught:
        build_cube(wanted, tmp_path / "c.zarr", options=BuildOptions(threads=1))
    assert caught.value.exit_code == 4
    assert not list((tmp_path / "c.zarr").rglob(f"*{units.PARTIAL}"))
    monkeypatch.undo()
    again = build_cube(wanted, tmp_path / "c.zarr")
    assert again.resumed
    assert chunks(again.path) == chunks(folder / "whole.zarr")


def test_errors_are_ours(server: FaultServer, tmp_path: Path) -> None:
    for mode in ("e500", "cut"):
        with pytest.raises(SitsDataError):
            build(server, tmp_path / mode, mode, on_error="raise", tries=1)

"""Bytes through GDAL: from a disk and over HTTP, all that were asked for or an error."""

import logging
from pathlib import Path

import numpy as np
import pytest
import rasterio._base
from fault_server import FaultServer

from sits_data import vsi

BYTES = bytes(range(250)) * 400


def test_ranges_lie_one_after_another(tmp_path: Path) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(BYTES)
    into = np.zeros(30, np.uint8)
    with vsi.open_vsi(str(path)) as file:
        file.read([(90, 10), (5, 20)], into)
        assert into.tolist() == [*range(90, 100), *range(5, 25)]
        with pytest.raises(OSError, match="fewer bytes"):
            file.read([(0, 5), (len(BYTES) - 1, 2)], into)
    with pytest.raises(OSError, match="cannot be opened"), vsi.open_vsi(str(tmp_path / "none")):
        pass


@pytest.mark.parametrize("ranges", [[(60_000, 20_000)], [(60_000, 10_000), (90_000, 10_000)]])
def test_bodies_that_are_cut_raise(ranges: list[vsi.Range], tmp_path: Path) -> None:
    """One range, which goes through GDAL's cache, and several, which do not."""
    (tmp_path / "bytes").write_bytes(BYTES)
    into = np.zeros(20_000, np.uint8)
    with FaultServer(tmp_path) as server:
        for mode in ("ok", "cut", "e503"):
            with vsi.open_vsi(f"/vsicurl/{server.url}/{mode}/bytes") as file:
                if mode == "ok":
                    file.read(ranges, into)
                    expected = b"".join(BYTES[first : first + size] for first, size in ranges)
                    assert into.tobytes() == expected
                else:
                    with pytest.raises(OSError, match="fewer bytes"):
                        file.read(ranges, into)


def test_what_is_forgotten_is_fetched_anew(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(BYTES)
    into = np.zeros(1, np.uint8)
    with FaultServer(tmp_path) as server:
        path = f"/vsicurl/{server.url}/ok/bytes"
        seen = []
        for change in (lambda: None, lambda: None, lambda: vsi.forget(path)):
            change()
            with vsi.open_vsi(path) as file:
                file.read([(7, 1)], into)
            seen.append(int(into[0]))
            (tmp_path / "bytes").write_bytes(BYTES[::-1])
    assert seen == [7, 7, 249 - 7]


def test_library_without_the_functions_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(rasterio._base, "__file__", str(tmp_path / "none.so"))
    vsi._gdal.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            assert not vsi.can_read()
            assert not vsi.can_read()
            vsi.forget("/vsicurl/http://127.0.0.1/none")
    finally:
        vsi._gdal.cache_clear()
    assert [record.message for record in caplog.records] == [
        "GDAL's functions are not found: tiles are not held against their checksums"
    ]

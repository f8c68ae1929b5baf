"""A window of one raster, through a loader, over a network that fails.

A raster on the cube's own pixels is read by rasterio, whose window needs no loader and half the time of
one on a small field; what is warped is read by odc-stac's loader. On request stackstac's reads all.
Each is run so that it raises: none may turn a failure into no data, and GDAL's own retries are off,
since they can take minutes. What is tried again, how often and until when is decided here.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Literal
from urllib.parse import urlparse

import numpy as np
import rasterio
import rasterio.errors
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.loader import RasterLoadParams, RasterSource, reader_driver
from rasterio._err import CPLE_BaseError
from rasterio.session import DummySession

from sits_data.access import Access
from sits_data.checksums import check_rows
from sits_data.errors import CatalogError, DeadlinePassed, InvalidRequest, UnreadableSource
from sits_data.patience import ask, hold, pause_s
from sits_data.tiles import corner_of, read_by_rows, read_window, tiles_under

Loader = Literal["odc", "stackstac"]

GDAL_OPTIONS: dict[str, str | int] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_INGESTED_BYTES_AT_OPEN": 32768,
    "GDAL_CACHEMAX": 128 * 2**20,
    "CPL_VSIL_CURL_CACHE_SIZE": 128 * 2**20,
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1000,
    "GDAL_HTTP_LOW_SPEED_TIME": 30,
    "GDAL_HTTP_MAX_RETRY": 0,
}
"""Environment of every reading thread: no directory listings, a header in one request, no retries.

What came over HTTP stays in a cache of the process until it was checked: a band of a window on each of
eight threads or more.
"""

REQUEST_TIMEOUT_S = 120
"""Of one HTTP request; less when the deadline is nearer."""

REFLECTANCE = RasterLoadParams(
    dtype="uint16", fill_value=0, src_nodata_override=0, use_overviews=False, resampling="bilinear"
)
CLASSES = RasterLoadParams(
    dtype="uint8", fill_value=0, src_nodata_override=0, use_overviews=False, resampling="nearest"
)

_READ_ERRORS = (
    *(rasterio.errors.RasterioError, CPLE_BaseError, OSError),
    *(AssertionError, RuntimeError, ValueError, ArithmeticError),
)
"""What reads raise; a damaged header may lack a CRS, which odc-geo asserts, or hold any geotransform."""


@dataclass(frozen=True)
class RasterReader:
    """How rasters are read.

    Args:
        loader: `odc` (own pixels by rasterio, others warped by odc-stac's loader), or `stackstac` for
            all (needs the extra `stackstac`); on the cube's own zone both give the same pixels.
        access: how the catalogue's addresses are reached.
        tries: how often a read is tried over a network.
        deadline: of `time.monotonic`, after which nothing is tried again.
        keep: read over HTTP so that other reads of the same raster, which follow at once, fetch nothing
            twice; slower by a round trip for each row of tiles.
    """

    loader: Loader = "odc"
    access: Access = field(default_factory=Access)
    tries: int = 5
    deadline: float = float("inf")
    keep: bool = False

    def until(self, seconds: float) -> "RasterReader":
        """The same reader, which stops trying so many seconds from now."""
        return replace(self, deadline=time.monotonic() + seconds)

    def read(self, href: str, geobox: GeoBox, load: RasterLoadParams, out: NDArray[Any]) -> None:
        """Read a raster on a grid into memory that is there already.

        Args:
            href: as the catalogue gives it, unsigned.
            geobox: where, and at which resolution.
            load: `REFLECTANCE` or `CLASSES`.
            out: of the geobox's shape, zeros; what it holds after an error is undefined.

        Raises:
            UnreadableSource: the raster is missing, damaged, denied or does not answer.
            DeadlinePassed: it did not answer in time.
        """
        for attempt in count():
            self._wait(href, attempt)
            address = self.access.readable(href)
            # GDAL keeps what it got under a file's name, failures too; a fragment is another name, and
            # is not sent.
            fresh = f"/vsicurl/{address}#{attempt}" if attempt and _on_web(address) else address
            try:
                with self.access.slot(href):
                    self._load(fresh, geobox, load, out)
                return
            except _READ_ERRORS as error:
                if isinstance(error, CatalogError):
                    raise
                why = " ".join(str(error.__cause__ or error).split()) or "it has no CRS"
                self._decide(href, address, attempt, why, error)

    def _load(self, address: str, geobox: GeoBox, load: RasterLoadParams, out: NDArray[Any]) -> None:
        options = self._options()
        name = address.removeprefix("/vsicurl/")
        plain = name.startswith("http://")
        by_rows = plain or (self.keep and name.startswith("https://"))
        path = f"/vsicurl/{name}" if by_rows else address
        with rasterio.Env(session=DummySession(), **options):
            with rasterio.open(path) as raster:
                corner = corner_of(raster, geobox) if self.loader == "odc" else None
                look = plain or (by_rows and corner is not None)
                under = tiles_under(raster, geobox) if look else None
                if corner is not None and under is not None:
                    rows = read_by_rows(raster, under, out)
                    if plain:
                        check_rows(path, under, rows)
                    for _ in rows:
                        pass
                    return
                if corner is not None:
                    read_window(raster, corner, out)
                    return
            _LOADERS[self.loader](address, geobox, load, out, options)
            if under is not None:
                check_rows(path, under, ((row, None) for row in under.rows))

    def _wait(self, href: str, attempt: int) -> None:
        seconds = pause_s(href, attempt)
        if time.monotonic() + seconds > self.deadline:
            raise DeadlinePassed(
                f"cannot read {href} in time; give more with --deadline, or run the same command again"
            )
        time.sleep(seconds)

    def _decide(self, href: str, address: str, attempt: int, why: str, error: BaseException) -> None:
        """Return if another attempt makes sense, raise if none does."""
        again = "run the same command again to continue, or leave it out with --on-error skip"
        if not _on_web(address):
            if urlparse(href).scheme not in {"", "file"} and attempt + 1 < self.tries:
                return
            raise UnreadableSource(
                f"cannot read {href} ({why}); it may be missing, truncated or out of reach: {again}"
            ) from error
        answer = ask(address)
        if answer.state == "gone":
            raise UnreadableSource(
                f"cannot read {href} (HTTP {answer.status}: it is not there); {again}"
            ) from error
        if answer.state == "denied":
            self.access.forget(href)
            why = f"HTTP {answer.status}: access denied"
        elif answer.status >= 400 or not answer.status:
            hold(href, answer.wait_s)
            why = f"HTTP {answer.status}" if answer.status else "no answer"
        if attempt + 1 >= self.tries:
            raise UnreadableSource(f"cannot read {href} ({why}, {self.tries} times); {again}") from error

    def _options(self) -> dict[str, str | int]:
        left = max(1, int(min(REQUEST_TIMEOUT_S, self.deadline - time.monotonic())))
        return GDAL_OPTIONS | {"GDAL_HTTP_TIMEOUT": left} | self.access.gdal


def check_loader(loader: Loader) -> None:
    """Stop early if a loader is not installed.

    Raises:
        InvalidRequest: it is not.
    """
    if loader == "stackstac":
        try:
            import stackstac  # noqa: F401
        except ImportError as error:
            raise InvalidRequest(
                "the loader stackstac is not installed; use pip install 'sits-data[stackstac]', or "
                "--loader odc"
            ) from error


def _on_web(address: str) -> bool:
    return urlparse(address).scheme in {"http", "https"}


def _read_odc(
    address: str,
    geobox: GeoBox,
    load: RasterLoadParams,
    out: NDArray[Any],
    options: Mapping[str, str | int],
) -> None:
    driver = reader_driver("rio")
    with driver.restore_env(dict(options), driver.new_load(geobox)) as context:
        driver.open(RasterSource(address), context).read(load, geobox, dst=out)


def _read_stackstac(
    address: str,
    geobox: GeoBox,
    load: RasterLoadParams,
    out: NDArray[Any],
    options: Mapping[str, str | int],
) -> None:
    """Its defaults lose failures, types and half a pixel: each setting here replaces one."""
    import stackstac
    from rasterio.enums import Resampling
    from stackstac.rio_env import LayeredEnv

    bounds = tuple(geobox.boundingbox.bbox)
    assert geobox.crs is not None
    epsg = geobox.crs.to_epsg()
    item: dict[str, Any] = {
        "type": "Feature", "stac_version": "1.0.0", "id": "window", "geometry": None, "links": [],
        # It leaves out what its metadata says lies elsewhere; the raster itself says where it lies.
        "properties": {"datetime": "2000-01-01T00:00:00Z", "proj:epsg": epsg, "proj:bbox": bounds},
        "assets": {"raster": {"href": address}},
    }  # fmt: skip
    stack = stackstac.stack(
        [item],
        assets=["raster"],
        epsg=epsg,
        resolution=abs(geobox.resolution.x),
        bounds=bounds,
        snap_bounds=False,
        dtype=load.dtype,
        fill_value=np.dtype(load.dtype).type(0),
        rescale=False,
        xy_coords="center",
        errors_as_nodata=(),
        resampling=Resampling[str(load.resampling)],
        chunksize=max(geobox.shape),
        gdal_env=LayeredEnv(always=dict(options)),
    )
    out[...] = stack.data.compute(scheduler="synchronous")[0, 0]


_LOADERS: dict[
    Loader, Callable[[str, GeoBox, RasterLoadParams, NDArray[Any], Mapping[str, str | int]], None]
] = {"odc": _read_odc, "stackstac": _read_stackstac}

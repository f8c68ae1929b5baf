"""Windows of one raster, over a network that fails.

A raster on the cube's own pixels is read without a loader, which takes twice as long on a small field;
others are warped as odc-stac's loader does it, each grid from pixels of its own. Each read is made so
that it raises: none may turn a failure into no data, and GDAL's own retries are off, since they can
take minutes. What is tried again, how often and until when is decided here.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from urllib.parse import urlparse
from urllib.request import url2pathname

import numpy as np
import rasterio
import rasterio.errors
from odc.loader import RasterLoadParams
from rasterio._err import CPLE_BaseError
from rasterio.session import DummySession
from rasterio.windows import Window

from sits_data import vsi
from sits_data.access import Access
from sits_data.alignment import (
    Place,
    Target,
    hull,
    overlap,
    own_part,
    part_under,
    paste,
    shape_of,
    whole,
)
from sits_data.errors import CatalogError, DeadlinePassed, UnreadableSource
from sits_data.loaders import Loader, warp, warp_part
from sits_data.patience import ask, hold, pause_s
from sits_data.tiles import open_tiled

GDAL_OPTIONS: dict[str, str | int] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_INGESTED_BYTES_AT_OPEN": 32768,
    "GDAL_CACHEMAX": 128 * 2**20,
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1000,
    "GDAL_HTTP_LOW_SPEED_TIME": 30,
    "GDAL_HTTP_MAX_RETRY": 0,
}
"""Environment of every reading thread: no directory listings, a header in one request, no retries."""

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
        loader: `odc` (own pixels as they are stored, others warped as odc-stac does), or `stackstac`
            for all (needs the extra `stackstac`); on the cube's own zone both give the same pixels.
        access: how the catalogue's addresses are reached.
        tries: how often a read is tried over a network.
        deadline: of `time.monotonic`, after which nothing is tried again.
    """

    loader: Loader = "odc"
    access: Access = field(default_factory=Access)
    tries: int = 5
    deadline: float = float("inf")

    def until(self, seconds: float) -> "RasterReader":
        """The same reader, which stops trying so many seconds from now."""
        return replace(self, deadline=time.monotonic() + seconds)

    def read(self, href: str, targets: Sequence[Target], *, load: RasterLoadParams) -> None:
        """Read a raster on grids into memory that is there already.

        Args:
            href: as the catalogue gives it, unsigned.
            targets: grids, where and at which resolution, and memory of their shapes, zeros; what it
                holds after an error is undefined. What one grid shows does not depend on the others.
            load: `REFLECTANCE` or `CLASSES`.

        Raises:
            UnreadableSource: the raster is missing, damaged, denied or does not answer.
            DeadlinePassed: it did not answer in time.
        """
        for attempt in count():
            self._wait(href, attempt)
            address = self.access.readable(href)
            try:
                with self.access.slot(href):
                    self._load(_name(address, attempt), load, targets)
                return
            except _READ_ERRORS as error:
                if isinstance(error, CatalogError):
                    raise
                why = " ".join(str(error.__cause__ or error).split()) or type(error).__name__
                self._decide(href, address, attempt, why, error)

    def _load(self, address: str, load: RasterLoadParams, targets: Sequence[Target]) -> None:
        options = self._options()

        def warped(source: str, target: Target) -> None:
            warp(source, target, loader=self.loader, load=load, options=options)

        with rasterio.Env(session=DummySession(), **options):
            if self.loader != "odc" or load.use_overviews:
                for target in targets:
                    warped(address, target)
                return
            with rasterio.open(address) as raster:
                places: list[Place] = []
                copies: list[tuple[Place, Target]] = []
                for geobox, out in targets:
                    own = own_part(raster, geobox)
                    if own is not None:
                        places.append((own, out))
                    elif raster.dtypes[0] == load.dtype:
                        under = part_under(raster, geobox)
                        places.append((under, np.zeros(shape_of(under), load.dtype)))
                        copies.append((places[-1], (geobox, out)))
                    else:
                        warped(address, (geobox, out))
                with open_tiled(raster, address, dtype=np.dtype(load.dtype)) as tiled:
                    if tiled is not None:
                        tiled.read(places)
                    elif places:
                        _read_by_gdal(raster, places)
                for place, target in copies:
                    if place[1].size:
                        warp_part(raster, place, target, load=load)

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
                vsi.forget(address)
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


def _read_by_gdal(raster: rasterio.DatasetReader, places: Sequence[Place]) -> None:
    """Read parts of a raster by GDAL alone; at once where they fill most of what they span."""
    parts = [overlap(part, whole(raster.shape)) for part, _ in places]
    span = hull(parts)
    sizes = [math.prod(shape_of(part)) for part in parts]
    for part in [span] if 2 * sum(sizes) > math.prod(shape_of(span)) else parts:
        if 0 not in shape_of(part):
            window = Window.from_slices(*part)
            paste(part, raster.read(1, window=window, out_dtype=places[0][1].dtype), places)


def _name(address: str, attempt: int) -> str:
    """An address as GDAL names it.

    It keeps what it got under a file's name, failures too; a fragment is another name, and is not sent.
    """
    if _on_web(address):
        return f"/vsicurl/{address}#{attempt}" if attempt else f"/vsicurl/{address}"
    return url2pathname(urlparse(address).path) if address.startswith("file:") else address


def _on_web(address: str) -> bool:
    return urlparse(address).scheme in {"http", "https"}

"""How the rasters of a catalogue are reached: signing, keys, endpoints, connections at once."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import NamedTuple
from urllib.parse import urlparse

from pydantic import BaseModel

from sits_data.errors import CatalogError
from sits_data.tokens import forget, signed

_SLOTS: dict[tuple[int, str, int], BoundedSemaphore] = {}
"""Connections left, by process, host and limit."""


class Access(BaseModel, frozen=True):
    """What it takes to open an address of a catalogue; a value, without secrets.

    Args:
        sas: address of the service whose tokens blobs need; None: they need none.
        blobs: how the host of such a blob ends.
        connections: at once to one host; None: no limit.
        gdal: options for GDAL.
        keys: what the user's S3 keys are and where they come from; None: none are asked for.
    """

    sas: str | None = None
    blobs: str = ".blob.core.windows.net"
    connections: int | None = None
    gdal: dict[str, str] = {}
    keys: str | None = None

    def readable(self, href: str) -> str:
        """The address to open now, good for minutes.

        Blobs get a token (kept in the process, renewed with 5 minutes left; threads may call this
        at once). `s3://` becomes GDAL's own `/vsis3/`, which takes the keys of the environment.

        Raises:
            CatalogError: no token can be had, or the user's S3 keys are missing.
        """
        if self.sas and self._is_blob(href):
            return signed(href, self.sas)
        if href.startswith("s3://"):
            self._check_keys(href)
            return f"/vsis3/{href.removeprefix('s3://')}"
        return href

    def forget(self, href: str) -> None:
        """After a 401 or 403: drop the token of an address, as given or as `readable` made it."""
        if self.sas and self._is_blob(href):
            forget(href, self.sas)

    @contextmanager
    def slot(self, href: str) -> Iterator[None]:
        """Hold one of the connections that the address's host allows to this process."""
        if self.connections is None:
            yield
            return
        key = os.getpid(), urlparse(href).netloc, self.connections
        with _SLOTS.setdefault(key, BoundedSemaphore(self.connections)):
            yield

    def _is_blob(self, href: str) -> bool:
        url = urlparse(href)
        return url.scheme in {"http", "https"} and (url.hostname or "").endswith(self.blobs)

    def _check_keys(self, href: str) -> None:
        given = os.environ.get
        if self.keys is None or given("AWS_PROFILE"):
            return
        if not (given("AWS_ACCESS_KEY_ID") and given("AWS_SECRET_ACCESS_KEY")):
            raise CatalogError(
                f"reading s3://{urlparse(href).netloc} needs {self.keys}, and the environment has none;"
                " set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            )


class Known(NamedTuple):
    """A catalogue that has a name.

    Args:
        address: of its STAC API.
        access: to its rasters.
        requests_per_second: that its API answers; None: no limit is known.
    """

    address: str
    access: Access
    requests_per_second: int | None = None


KNOWN = ("earth-search", "planetary-computer", "cdse")
"""Names of the catalogues that have one."""

ACCESS_VARIABLE = "SITS_ACCESS"
"""Names the catalogue whose rasters the items of a file or of another API point to."""


def known_catalogs() -> dict[str, Known]:
    """The catalogues of `KNOWN`; environment variables move them to a mirror.

    `SITS_EARTH_SEARCH_URL`, `SITS_PLANETARY_COMPUTER_URL` and `SITS_CDSE_URL` are the APIs,
    `SITS_PLANETARY_COMPUTER_SAS` the token service and `SITS_PLANETARY_COMPUTER_BLOBS` how the hosts
    that need its tokens end, `SITS_CDSE_S3` the S3 endpoint.

    Source: CDSE, Quotas and limitations (S3: 4 connections; STAC: 5 requests a second, of which one
    is left out, so that no jitter on the way makes a sixth) and S3 access (endpoint, path style).
    """
    given = os.environ.get
    microsoft = "https://planetarycomputer.microsoft.com/api"
    signing = Access(
        sas=given("SITS_PLANETARY_COMPUTER_SAS", f"{microsoft}/sas/v1/token"),
        blobs=given("SITS_PLANETARY_COMPUTER_BLOBS", ".blob.core.windows.net"),
    )
    endpoint = urlparse(given("SITS_CDSE_S3", "https://eodata.dataspace.copernicus.eu"))
    copernicus = Access(
        connections=4,
        gdal={
            "AWS_S3_ENDPOINT": endpoint.netloc,
            "AWS_HTTPS": "YES" if endpoint.scheme == "https" else "NO",
            "AWS_VIRTUAL_HOSTING": "FALSE",
            "AWS_REGION": "default",
        },
        keys="your S3 keys of the Copernicus Data Space (https://eodata-s3keysmanager.dataspace.copernicus.eu)",
    )
    return {
        "earth-search": Known(
            given("SITS_EARTH_SEARCH_URL", "https://earth-search.aws.element84.com/v1"), Access()
        ),
        "planetary-computer": Known(
            given("SITS_PLANETARY_COMPUTER_URL", f"{microsoft}/stac/v1"), signing
        ),
        "cdse": Known(
            given("SITS_CDSE_URL", "https://stac.dataspace.copernicus.eu/v1"),
            copernicus,
            requests_per_second=4,
        ),
    }


def known_catalog(source: str) -> Known | None:
    """The known catalogue of a name or of an address, or None."""
    catalogs = known_catalogs()
    by_address = {known.address.rstrip("/"): known for known in catalogs.values()}
    return catalogs.get(source) or by_address.get(source.rstrip("/"))


def access_of(catalog: str) -> Access:
    """How rasters that a catalogue names are reached.

    Args:
        catalog: name, address or path; one that is not known takes what `SITS_ACCESS` names, such as
            `planetary-computer` for a GeoParquet file of its items.

    Raises:
        CatalogError: `SITS_ACCESS` names no known catalogue.
    """
    if known := known_catalog(catalog):
        return known.access
    name = os.environ.get(ACCESS_VARIABLE)
    if not name:
        return Access()
    if known := known_catalogs().get(name):
        return known.access
    raise CatalogError(f"{ACCESS_VARIABLE} must name one of {', '.join(KNOWN)}, got {name!r}")

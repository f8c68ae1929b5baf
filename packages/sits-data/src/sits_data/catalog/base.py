"""What every catalogue can do, and the errors of those that cannot."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Protocol
from urllib.parse import urlparse

import pystac
import pystac.errors
import requests
from pystac_client.errors import ClientTypeError
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from pystac_client.warnings import DoesNotConformTo
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from sits_data.errors import CatalogError
from sits_data.web import TIMEOUT_S, pace_of, polite_session

_NOT_STAC = (
    *(pystac.errors.STACError, pystac.errors.STACTypeError, ClientTypeError, DoesNotConformTo),
    *(ShapelyError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError),
)
"""What clients raise on content of another shape than they expect."""


class Catalog(Protocol):
    """A source of STAC items."""

    @property
    def address(self) -> str:
        """Where it is."""
        ...

    def search(
        self,
        area: BaseGeometry,
        *,
        collection: str,
        start: date,
        end: date,
        max_cloud_pct: float = 100.0,
    ) -> list[pystac.Item]:
        """Items of a collection that touch an area (degrees) on the days from start to end.

        Each item comes once, its asset addresses absolute. With a `max_cloud_pct` below 100, items
        with a higher `eo:cloud_cover`, or with none, are left out; nobody learns how many.

        Raises:
            CatalogError: the catalogue does not answer, or answers nonsense.
        """
        ...


@contextmanager
def one_line_errors(address: str) -> Iterator[None]:
    """Turn what clients raise into a `CatalogError` that says what to do."""
    try:
        yield
    except (requests.RequestException, APIError, OSError) as error:
        if isinstance(error, CatalogError):
            raise
        if getattr(error, "status_code", None) in {400, 405, 413, 414, 422}:
            raise CatalogError(
                f"the catalogue {address} refuses the search ({_short(error)}); simplify --aoi, check "
                "--collection, or choose another with --catalog or SITS_CATALOG"
            ) from error
        raise CatalogError(
            f"the catalogue {address} cannot be reached ({_short(error)}); check the address and the "
            "network, or choose another with --catalog or SITS_CATALOG"
        ) from error
    except _NOT_STAC as error:
        raise CatalogError(
            f"{address} is not a STAC catalogue ({_short(error)}); give a STAC API or a catalog.json"
        ) from error


def web_io(address: str, requests_per_second: int | None = None) -> StacApiIO:
    """How JSON is asked for over a network: deadlines, bounded retries, and in turn where asked."""
    host = urlparse(address).netloc
    pace = None if requests_per_second is None else pace_of(host, requests_per_second)
    io = StacApiIO(timeout=TIMEOUT_S)
    io.session = polite_session(pace)
    return io


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else f"{text[:157]}..."

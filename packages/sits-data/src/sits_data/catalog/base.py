"""What every catalogue can do, and the errors of those that cannot."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Protocol

import pystac
import pystac.errors
import requests
from pystac_client.errors import ClientTypeError
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from pystac_client.warnings import DoesNotConformTo
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry
from urllib3 import Retry

from sits_data.errors import CatalogError

RETRIES = Retry(
    total=4, connect=2, backoff_factor=0.5, status_forcelist=(429, 502, 503, 504), allowed_methods=None
)
TIMEOUT_S = (10, 60)
"""Seconds to connect and to answer."""

_NOT_STAC = (
    *(pystac.errors.STACError, pystac.errors.STACTypeError, ClientTypeError, DoesNotConformTo),
    *(ShapelyError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError),
)
"""What clients raise on JSON of another shape than they expect."""


class Catalog(Protocol):
    """A source of STAC items."""

    def search(
        self, area: BaseGeometry, *, collection: str, start: date, end: date
    ) -> list[pystac.Item]:
        """Items of a collection that touch an area (degrees) on the days from start to end.

        Each item comes once, its asset addresses absolute.

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
        raise CatalogError(
            f"the catalogue {address} cannot be reached ({_short(error)}); check the address and the "
            "network, or choose another with --catalog or SITS_CATALOG"
        ) from error
    except _NOT_STAC as error:
        raise CatalogError(
            f"{address} is not a STAC catalogue ({_short(error)}); give a STAC API or a catalog.json"
        ) from error


def web_io() -> StacApiIO:
    """How JSON is asked for over a network: bounded retries and deadlines."""
    return StacApiIO(max_retries=RETRIES, timeout=TIMEOUT_S)


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else f"{text[:157]}..."

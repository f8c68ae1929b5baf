"""What every catalogue can do, and the errors of those that cannot."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Protocol

import pystac
import pystac.errors
import requests
from pystac_client.exceptions import APIError
from shapely.geometry.base import BaseGeometry

from sits_data.errors import CatalogError


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
    except (pystac.errors.STACError, ValueError, KeyError, TypeError) as error:
        raise CatalogError(
            f"{address} is not a STAC catalogue ({_short(error)}); give a STAC API or a catalog.json"
        ) from error


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else f"{text[:157]}..."

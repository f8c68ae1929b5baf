"""STAC GeoParquet: a whole catalogue as one table, of which only the rows that fit become items.

Source: https://github.com/radiantearth/stac-geoparquet-spec
"""

import io
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pystac
from shapely.geometry.base import BaseGeometry
from stac_geoparquet.arrow import stac_table_to_items

from sits_data.catalog.base import one_line_errors
from sits_data.catalog.items import on_web, read_item
from sits_data.catalog.question import CLOUD, Question
from sits_data.web import TIMEOUT_S, polite_session

NEEDED = {"id", "geometry", "bbox", "datetime", "assets"}
"""Columns without which a table is not one of STAC items."""


@dataclass(frozen=True)
class GeoParquetCatalog:
    """A table of items; row groups whose statistics rule them out are not read."""

    address: str
    rows: ds.Dataset

    @classmethod
    def open(cls, address: str) -> "GeoParquetCatalog":
        """Read the schema of a file, of a folder of files, or of a file on a web server."""
        with one_line_errors(address):
            rows = _remote_rows(address) if on_web(address) else ds.dataset(address, format="parquet")
            if missing := NEEDED - set(rows.schema.names):
                raise ValueError(f"it has no column {', '.join(sorted(missing))}")
            return cls(address, rows)

    def search(
        self,
        area: BaseGeometry,
        *,
        collection: str,
        start: date,
        end: date,
        max_cloud_pct: float = 100.0,
    ) -> list[pystac.Item]:
        """See `Catalog.search`."""
        question = Question(area, collection, start, end, max_cloud_pct)
        with one_line_errors(self.address):
            table = self.rows.to_table(filter=_row_filter(question, set(self.rows.schema.names)))
            contents = [_without_nulls(content) for content in stac_table_to_items(table)]
            found = {content["id"]: content for content in contents if question.fits(content)}
            plain = {"type": "Feature", "stac_version": "1.0.0", "links": []}
            return [read_item(plain | content, self.address) for content in found.values()]


def _row_filter(question: Question, columns: set[str]) -> ds.Expression:
    """What a row must hold for its item to fit, as far as columns tell."""
    west, south, east, north = question.area.bounds
    xmin, ymin, xmax, ymax = (ds.field("bbox", name) for name in ("xmin", "ymin", "xmax", "ymax"))
    # A box whose west is greater than its east crosses the antimeridian.
    across = ((xmin <= east) & (xmax >= west)) | (xmin > xmax)
    keep = pc.is_valid(ds.field("geometry")) & across & (ymin <= north) & (ymax >= south)
    keep &= _in_time(question, columns)
    if "collection" in columns:
        named = ds.field("collection")
        keep &= named.is_null() | (named == question.collection)
    if question.limits_clouds and CLOUD in columns:
        keep &= ds.field(CLOUD) <= question.max_cloud_pct
    return keep


def _in_time(question: Question, columns: set[str]) -> ds.Expression:
    first = datetime.combine(question.start, time(), UTC)
    after = datetime.combine(question.end, time(), UTC) + timedelta(days=1)
    moment = ds.field("datetime")
    keep = (moment >= pa.scalar(first)) & (moment < pa.scalar(after))
    if {"start_datetime", "end_datetime"} <= columns:
        begins, ends = ds.field("start_datetime"), ds.field("end_datetime")
        keep |= moment.is_null() & (begins < pa.scalar(after)) & (ends >= pa.scalar(first))
    return keep


def _without_nulls(content: Any) -> Any:
    """The same JSON without what only fills the table's columns of other items."""
    if isinstance(content, dict):
        return {key: _without_nulls(value) for key, value in content.items() if value is not None}
    if isinstance(content, list):
        return [_without_nulls(value) for value in content]
    return content


def _remote_rows(address: str) -> ds.Dataset:
    source = pa.PythonFile(_open_remote(address), "r")
    fragment = ds.ParquetFileFormat().make_fragment(source)
    return ds.FileSystemDataset([fragment], fragment.physical_schema, fragment.format)


def _open_remote(address: str) -> io.IOBase:
    """A file on a web server: read in ranges, or all at once where the server knows no ranges."""
    session = polite_session()
    session.headers["Accept-Encoding"] = "identity"
    answer = session.get(address, timeout=TIMEOUT_S, headers={"Range": "bytes=0-0"})
    answer.raise_for_status()
    if answer.status_code != 206:
        return io.BytesIO(answer.content)
    return _Ranges(session, address, int(answer.headers["Content-Range"].rpartition("/")[2]))


class _Ranges(io.RawIOBase):
    """A file on a web server; each read is one request."""

    def __init__(self, session: Any, address: str, size: int) -> None:
        self._session, self._address, self._size, self._at = session, address, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        asked = {"Range": f"bytes={self._at}-{end - 1}"}
        answer = self._session.get(self._address, timeout=TIMEOUT_S, headers=asked)
        answer.raise_for_status()
        if len(answer.content) != end - self._at:
            raise OSError(f"{self._address} gave {len(answer.content)} bytes of {end - self._at}")
        buffer[: end - self._at] = answer.content
        self._at = end
        return len(answer.content)

    def close(self) -> None:
        self._session.close()
        super().close()

"""What is looked for, and whether an item is it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

CLOUD = "eo:cloud_cover"


@dataclass(frozen=True)
class Question:
    """One search.

    Args:
        area: in degrees.
        collection: the items' collection; items that name none fit every one.
        start, end: first and last day (UTC), both included.
        max_cloud_pct: of `eo:cloud_cover`; below 100, items that do not tell theirs do not fit.
    """

    area: BaseGeometry
    collection: str
    start: date
    end: date
    max_cloud_pct: float = 100.0

    def __post_init__(self) -> None:
        shapely.prepare(self.area)

    @property
    def limits_clouds(self) -> bool:
        """Whether clouds matter."""
        return self.max_cloud_pct < 100

    @property
    def interval(self) -> str:
        """The days as STAC writes an interval."""
        return f"{self.start.isoformat()}T00:00:00Z/{self.end.isoformat()}T23:59:59.999Z"

    def fits(self, item: Mapping[str, Any]) -> bool:
        """Whether an item (as JSON) is an answer."""
        properties = item["properties"]
        return (
            item.get("collection") in (None, self.collection)
            and self._fits_time(properties)
            and self._fits_clouds(properties)
            and item.get("geometry") is not None
            and bool(self.area.intersects(shapely.geometry.shape(item["geometry"])))
        )

    def _fits_time(self, properties: Mapping[str, Any]) -> bool:
        span = time_span(properties)
        return span is not None and self.start <= span[1].date() and span[0].date() <= self.end

    def _fits_clouds(self, properties: Mapping[str, Any]) -> bool:
        cloud = properties.get(CLOUD)
        return not self.limits_clouds or (cloud is not None and cloud <= self.max_cloud_pct)


def time_span(properties: Mapping[str, Any]) -> tuple[datetime, datetime] | None:
    """First and last moment of an item in UTC, the same twice where it has a `datetime`; or None."""
    if moment := properties.get("datetime"):
        return (_utc(moment),) * 2
    first, last = properties.get("start_datetime"), properties.get("end_datetime")
    return (_utc(first), _utc(last)) if first and last else None


def _utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

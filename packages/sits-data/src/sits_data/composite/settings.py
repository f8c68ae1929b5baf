"""Which composite."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sits_data.errors import InvalidRequest, MissingBand
from sits_data.periods import parse_period

Method = Literal["median", "medoid", "least-cloudy", "max-ndvi", "count"]

NDVI_BANDS = ("B04", "B08")


@dataclass(frozen=True)
class Compositing:
    """What to make of each period.

    Args:
        period: `P1M`, `P10D`, `P1Y` or `dekad`.
        method: `median` of each band; an observed date a pixel: the `medoid` of the clear ones, that
            of the date with the fewest clouds, or that of the highest NDVI; or only the `count`.
    """

    period: str = "P1M"
    method: Method = "median"

    def __post_init__(self) -> None:
        parse_period(self.period)
        if self.method not in get_args(Method):
            methods = ", ".join(get_args(Method))
            raise InvalidRequest(f"a composite is one of {methods}, got {self.method}")

    @property
    def picks(self) -> bool:
        """Whether a pixel's bands are all of one date, which is then noted."""
        return self.method not in ("median", "count")

    def check_bands(self, bands: Sequence[str]) -> None:
        """Stop where the method needs a band that is not there.

        Raises:
            MissingBand: it does.
        """
        lacking = [band for band in NDVI_BANDS if band not in bands]
        if self.method == "max-ndvi" and lacking:
            raise MissingBand(
                f"max-ndvi needs {' and '.join(NDVI_BANDS)}, the cube lacks {' and '.join(lacking)}; "
                "build one with them, or choose --method medoid"
            )

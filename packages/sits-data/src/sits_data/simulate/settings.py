"""What a simulated catalogue is made from; every random number hangs on these values."""

from dataclasses import dataclass
from datetime import date

import numpy as np

from sits_data.errors import InvalidRequest

EARLIEST, LATEST = date(2017, 7, 1), date(2024, 12, 31)
"""Both satellites flew in these years, and their baselines are known."""

EXTRAS = ("split_strips", "wrong_flags", "snow")
"""Settings that a plain catalogue does without."""

MIN_DAYS = 425
"""Fourteen months: two growing seasons."""


@dataclass(frozen=True)
class Settings:
    """The recipe of one simulated catalogue.

    Args:
        seed: 0 or more; the same settings give the same bytes.
        size_px: side of the scenes in 10 m pixels, a multiple of 6 from 96 to 1200.
        start, end: first and last day, at least 14 months apart.
        dates: how many acquisitions survive, at least 16; fewer when the orbits offer fewer.
        second_zone: also render every scene in the tile of the neighbouring UTM zone.
        split_strips: deliver every third pass in two halves, as two stations received it.
        wrong_flags: say of every other product whose offset was taken away that it was not.
        snow: let snow lie on half of the winter's days.

    Raises:
        InvalidRequest: a value is out of its range.
    """

    seed: int
    size_px: int
    start: date
    end: date
    dates: int
    second_zone: bool
    split_strips: bool = False
    wrong_flags: bool = False
    snow: bool = False

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InvalidRequest(f"the seed must be 0 or more, got {self.seed}")
        if self.size_px % 6 or not 96 <= self.size_px <= 1200:
            raise InvalidRequest(
                f"the size must be a multiple of 6 pixels (60 m) from 96 to 1200, got {self.size_px}; "
                "336 is the default"
            )
        if self.start < EARLIEST or self.end > LATEST:
            raise InvalidRequest(
                f"start and end must lie from {EARLIEST} to {LATEST}, got {self.start} and {self.end}"
            )
        if (self.end - self.start).days < MIN_DAYS:
            raise InvalidRequest(
                f"start and end must be at least {MIN_DAYS} days apart (two growing seasons), got "
                f"{self.start} and {self.end}; use for example 2021-03-01 and 2022-10-31"
            )
        if self.dates < 16:
            raise InvalidRequest(
                f"a catalogue has at least 16 dates, got {self.dates}; 72 is the default"
            )

    @property
    def seasons(self) -> tuple[int, ...]:
        """Calendar years with a growing season, in order."""
        return tuple(range(self.start.year, self.end.year + 1))

    def rng(self, topic: str, ordinal: int = 0) -> np.random.Generator:
        """The generator of one topic, such as the clouds of day `ordinal`: no order of calls matters."""
        return np.random.default_rng([self.seed, ordinal, *topic.encode()])

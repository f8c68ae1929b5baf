"""When the satellites pass: two relative orbits, two satellites, and passes that are lost."""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np

from sits_data.simulate.settings import Settings

CYCLE_DAYS = 10
"""Each satellite repeats its ground track; the other follows five days later."""

EPOCH = date(2020, 3, 5)
"""Sentinel-2A flew relative orbit 108 as its absolute orbit 24558."""

LATITUDE, LONGITUDE = 50.89, 6.25


@dataclass(frozen=True)
class Track:
    """A relative orbit as seen from the land.

    Args:
        relative: its number.
        lag_days: days after the same satellite's pass on orbit 108.
        lag_orbits: orbits in these days.
        start: time of the day (UTC) at which a satellite begins to record, by platform.
        view_azimuth, view_incidence: direction to the satellite in degrees.
    """

    relative: int
    lag_days: int
    lag_orbits: int
    start: dict[str, time]
    view_azimuth: float
    view_incidence: float


TRACKS = (
    Track(108, 0, 0, {"S2A": time(10, 30, 21), "S2B": time(10, 25, 59)}, 105.3, 8.9),
    Track(8, 3, 43, {"S2A": time(10, 40, 31), "S2B": time(10, 36, 29)}, 287.6, 5.4),
)

PARTIAL_ORBIT = 8
"""The land lies at the edge of this orbit's swath."""


@dataclass(frozen=True)
class Pass:
    """One satellite pass over the land, which is one solar day.

    Args:
        day: UTC and solar day.
        platform: `S2A` or `S2B`.
        track: the relative orbit.
        absolute_orbit: counted since launch.
        start: when the datatake began, UTC.
        sensed: when the land was seen, UTC.
        sun_azimuth, sun_elevation: in degrees.
    """

    day: date
    platform: str
    track: Track
    absolute_orbit: int
    start: datetime
    sensed: datetime
    sun_azimuth: float
    sun_elevation: float


def passes(settings: Settings) -> list[Pass]:
    """The passes that the catalogue keeps, in order: `settings.dates` of all, drawn at random."""
    days = (settings.end - settings.start).days + 1
    every = [
        found
        for n in range(days)
        if (found := _pass_on(settings, settings.start + timedelta(n))) is not None
    ]
    kept = settings.rng("dropouts").choice(len(every), min(settings.dates, len(every)), replace=False)
    return [every[i] for i in np.sort(kept)]


def _pass_on(settings: Settings, day: date) -> Pass | None:
    for track in TRACKS:
        since = (day - EPOCH).days - track.lag_days
        if since % 5:
            continue
        platform = "S2A" if since % CYCLE_DAYS == 0 else "S2B"
        cycles = since // CYCLE_DAYS
        orbit = (24558 if platform == "S2A" else 15721) + 143 * cycles + track.lag_orbits
        start = datetime.combine(day, track.start[platform], tzinfo=UTC)
        delay_ms = settings.rng("sensed", day.toordinal()).integers(200_000, 400_000)
        sensed = start + timedelta(milliseconds=int(delay_ms))
        azimuth, elevation = sun_position(sensed)
        return Pass(day, platform, track, orbit, start, sensed, azimuth, elevation)
    return None


def sun_position(when: datetime) -> tuple[float, float]:
    """Azimuth (clockwise from north) and elevation of the sun over the land, in degrees.

    Good to half a degree. Source: Spencer (1971), Fourier series of declination and equation of time.
    """
    angle = 2 * math.pi * (when.timetuple().tm_yday - 1 + when.hour / 24) / 365
    declination = (
        0.006918 - 0.399912 * math.cos(angle) + 0.070257 * math.sin(angle)
        - 0.006758 * math.cos(2 * angle) + 0.000907 * math.sin(2 * angle)
    )  # fmt: skip
    equation_min = 229.18 * (
        0.000075 + 0.001868 * math.cos(angle) - 0.032077 * math.sin(angle)
        - 0.014615 * math.cos(2 * angle) - 0.040849 * math.sin(2 * angle)
    )  # fmt: skip
    solar_min = when.hour * 60 + when.minute + when.second / 60 + equation_min + 4 * LONGITUDE
    hour_angle = math.radians(solar_min / 4 - 180)
    latitude = math.radians(LATITUDE)
    up = math.sin(latitude) * math.sin(declination)
    up += math.cos(latitude) * math.cos(declination) * math.cos(hour_angle)
    north = math.cos(latitude) * math.sin(declination)
    north -= math.sin(latitude) * math.cos(declination) * math.cos(hour_angle)
    east = -math.cos(declination) * math.sin(hour_angle)
    return math.degrees(math.atan2(east, north)) % 360, math.degrees(math.asin(up))

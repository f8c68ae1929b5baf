"""Which radiometric offset an item's numbers carry.

Since baseline 04.00 (25 January 2022) ESA stores DN = 10000 * reflectance + 1000. Catalogues differ
in whether they took the 1000 away again and in where they say so; getting it wrong moves every value
by 0.1, the commonest silent error in Sentinel-2 series.

Source: ESA, Sentinel-2 Products Specification Document, `BOA_ADD_OFFSET`.
"""

from collections.abc import Mapping
from typing import NamedTuple

from sits_data.bands import DN_SCALE, DN_SHIFT
from sits_data.errors import UnknownRadiometry

FIRST_BASELINE_WITH_OFFSET = (4, 0)


class Radiometry(NamedTuple):
    """The offset inside the numbers of an asset.

    Args:
        offset_dn: 0 or -1000.
        source: what says so.
        suspect: metadata of this kind is known to be wrong at times, so the pixels should be asked.
    """

    offset_dn: int
    source: str
    suspect: bool = False

    @property
    def shift_dn(self) -> int:
        """What must be added to reach ESA's present convention, DN = 10000 * reflectance + 1000."""
        return DN_SHIFT + self.offset_dn


def radiometry(
    collection: str | None,
    properties: Mapping[str, object],
    asset: Mapping[str, object],
    *,
    assume_offset_dn: int | None = None,
) -> Radiometry:
    """The offset that the numbers of one reflectance asset carry.

    The first rule that applies decides:

    1. collection `sentinel-2-c1-l2a`: never removed, -1000;
    2. `earthsearch:boa_offset_applied` true: already removed, 0, whatever `raster:bands` says
       (its `offset` stays at -0.1 there); false: -1000 from baseline 04.00 on, else 0. False
       from 04.00 on is *suspect*: Earth Search has such scenes whose offset is gone all the same
       (its issues 66 and 71);
    3. the asset's own `raster:offset` (CDSE);
    4. the baseline alone (Planetary Computer).

    Args:
        collection: the item's collection id.
        properties: the item's properties.
        asset: the asset as JSON.
        assume_offset_dn: what to take when nothing says; None raises instead.

    Raises:
        UnknownRadiometry: no rule applies, the offset is another, or the scale is not 1e-4.
    """
    _check_scale(asset)
    if collection == "sentinel-2-c1-l2a":
        return Radiometry(-DN_SHIFT, "collection")
    baseline = _baseline(properties)
    removed = properties.get("earthsearch:boa_offset_applied")
    if removed is True:
        return Radiometry(0, "earthsearch:boa_offset_applied")
    if removed is False and baseline is not None:
        offset_dn = _offset_of_baseline(baseline)
        source = "earthsearch:boa_offset_applied+baseline"
        return Radiometry(offset_dn, source, suspect=offset_dn != 0)
    if isinstance(offset := asset.get("raster:offset"), int | float):
        return Radiometry(_check_offset(round(offset / DN_SCALE)), "raster:offset")
    if baseline is not None:
        return Radiometry(_offset_of_baseline(baseline), "baseline")
    if assume_offset_dn is not None:
        return Radiometry(assume_offset_dn, "user")
    raise UnknownRadiometry(
        "the item tells neither a processing baseline nor an offset; if you know which offset its "
        "numbers carry, give it with --assume-offset 0 or --assume-offset -1000"
    )


def baseline_of(properties: Mapping[str, object]) -> str | None:
    """The processing baseline of an item, such as `05.10`, wherever its catalogue keeps it."""
    value = properties.get("s2:processing_baseline", properties.get("processing:version"))
    return None if value is None else str(value).removeprefix("N")


def _baseline(properties: Mapping[str, object]) -> tuple[int, int] | None:
    major, _, minor = (baseline_of(properties) or "").partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None


def _offset_of_baseline(baseline: tuple[int, int]) -> int:
    return -DN_SHIFT if baseline >= FIRST_BASELINE_WITH_OFFSET else 0


def _check_offset(offset_dn: int) -> int:
    if offset_dn not in (0, -DN_SHIFT):
        raise UnknownRadiometry(
            f"raster:offset of a Level-2A reflectance asset must be 0 or {-DN_SHIFT * DN_SCALE}, got "
            f"{offset_dn * DN_SCALE:g}; use a catalogue of Sentinel-2 Level-2A"
        )
    return offset_dn


def _check_scale(asset: Mapping[str, object]) -> None:
    bands = asset.get("raster:bands")
    first = bands[0] if isinstance(bands, list) and bands and isinstance(bands[0], dict) else {}
    scale = asset.get("raster:scale", first.get("scale", DN_SCALE))
    if not isinstance(scale, int | float) or abs(scale - DN_SCALE) > 1e-9:
        raise UnknownRadiometry(
            f"the scale of a Level-2A reflectance asset must be {DN_SCALE}, got {scale}; "
            "use a catalogue of Sentinel-2 Level-2A"
        )

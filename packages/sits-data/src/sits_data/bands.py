"""Facts about Sentinel-2 MSI: bands, what catalogues call them, and the scene classification.

Source: ESA, Sentinel-2 Products Specification Document (S2-PDGS-TAS-DI-PSD) and the Level-2A
Algorithm Theoretical Basis Document (scene classification).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum

from sits_data.errors import MissingBand


@dataclass(frozen=True)
class Band:
    """One reflectance band of the MSI.

    Args:
        id: ESA's name, `B02` … `B12`.
        native_m: ground sampling distance in metres.
        wavelength_nm: central wavelength of Sentinel-2A in nanometres.
        common: what Earth Search calls it (`blue`).
    """

    id: str
    native_m: int
    wavelength_nm: float
    common: str

    def asset_keys(self) -> tuple[str, ...]:
        """Asset keys under which catalogues offer this band, the native resolution first.

        Earth Search says `blue`, Planetary Computer `B02`, CDSE `B02_10m`.
        """
        return (self.common, self.id, f"{self.id}_{self.native_m}m")


BANDS: dict[str, Band] = {
    band.id: band
    for band in (
        Band("B01", 60, 442.7, "coastal"),
        Band("B02", 10, 492.4, "blue"),
        Band("B03", 10, 559.8, "green"),
        Band("B04", 10, 664.6, "red"),
        Band("B05", 20, 704.1, "rededge1"),
        Band("B06", 20, 740.5, "rededge2"),
        Band("B07", 20, 782.8, "rededge3"),
        Band("B08", 10, 832.8, "nir"),
        Band("B8A", 20, 864.7, "nir08"),
        Band("B09", 60, 945.1, "nir09"),
        Band("B11", 20, 1613.7, "swir16"),
        Band("B12", 20, 2202.4, "swir22"),
    )
}
"""Every reflectance band of Level-2A (which has no B10), by id, in ESA's order."""

DEFAULT_BANDS: tuple[str, ...] = tuple(b.id for b in BANDS.values() if b.native_m <= 20)
"""The ten bands at 10 and 20 m."""

SCL_NATIVE_M = 20
SCL_ASSET_KEYS = ("scl", "SCL", "SCL_20m")

DN_SCALE = 1e-4
DN_OFFSET = -0.1
"""ESA's convention since baseline 04.00: reflectance = DN * 1e-4 - 0.1; DN 0 is no data."""

DN_SHIFT = 1000
"""What a product without the offset lacks: DN(04.00 convention) = DN + 1000."""


class SCL(IntEnum):
    """Scene classification of Sen2Cor, one class a 20 m pixel."""

    NO_DATA = 0
    SATURATED_OR_DEFECTIVE = 1
    DARK_AREA = 2
    CLOUD_SHADOW = 3
    VEGETATION = 4
    NOT_VEGETATED = 5
    WATER = 6
    UNCLASSIFIED = 7
    CLOUD_MEDIUM = 8
    CLOUD_HIGH = 9
    CIRRUS = 10
    SNOW = 11


def parse_bands(names: Iterable[str]) -> tuple[str, ...]:
    """Canonical band ids for names in any catalogue's spelling.

    Args:
        names: ESA ids (`B04`, `b4`, `B04_10m`) or common names (`red`).

    Returns:
        Band ids in the order asked for.

    Raises:
        MissingBand: a name is unknown, or a band is named twice, or there is none.

    >>> parse_bands(["red", "B8", "B8A"])
    ('B04', 'B08', 'B8A')
    """
    known = {key.lower(): band.id for band in BANDS.values() for key in band.asset_keys()}
    known |= {band.lower().replace("b0", "b"): band for band in BANDS}
    bands = []
    for name in names:
        band = known.get(name.strip().lower())
        if band is None:
            raise MissingBand(
                f"unknown band {name!r}; use ids such as B02 or names such as blue: "
                + ", ".join(f"{b.id} ({b.common})" for b in BANDS.values())
            )
        if band in bands:
            raise MissingBand(f"band {band} is asked for twice; name each band once")
        bands.append(band)
    if not bands:
        raise MissingBand("no band is asked for; name at least one, such as B04")
    return tuple(bands)


def find_asset(keys: Collection[str], candidates: Iterable[str]) -> str | None:
    """The first candidate that is among the asset keys of an item, or None."""
    return next((key for key in candidates if key in keys), None)

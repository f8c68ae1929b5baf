"""The land without its sky: reflectance of every pixel on any day, and what it is called."""

from dataclasses import dataclass
from datetime import date

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray

from sits_data.grid import Grid
from sits_data.simulate.legend import ALL
from sits_data.simulate.mosaic import Mosaic, make_mosaic
from sits_data.simulate.noise import Field
from sits_data.simulate.phenology import Traits, draw_traits, mean_reflectance
from sits_data.simulate.rotation import LandUse, assign, change_kinds
from sits_data.simulate.settings import Settings
from sits_data.simulate.texture import SOIL_CONTRAST, contrasts, season_patterns, soil_pattern

UNLABELLED_CHANGE = 255


@dataclass(frozen=True)
class Landscape:
    """Everything that decides reflectance on a clear day.

    Args:
        grid: the home grid at 10 m.
        mosaic, land_use, traits: of its units.
        soil: (y, x) pattern of the soil.
        patterns: (season, y, x) pattern of each season's class.
        wetness: (day of the year,) how wet the soil is, 0 to 1.
    """

    grid: Grid
    mosaic: Mosaic
    land_use: LandUse
    traits: Traits
    soil: Field
    patterns: Field
    settings: Settings

    def reflectance(self, day: date) -> Field:
        """(band, y, x) cloud-free reflectance at 10 m, bands in the order of `DEFAULT_BANDS`."""
        wetness = float(self.settings.rng("wetness", day.toordinal()).uniform())
        means, classes = mean_reflectance(self.land_use, self.traits, day, wetness=wetness)
        unit = self.mosaic.unit
        season = self.land_use.season_on(day)[unit]
        pattern = np.take_along_axis(self.patterns, season[None], axis=0)[0]
        contrast = contrasts()[classes].T[:, unit]
        relief = 1 + contrast * pattern + np.float32(SOIL_CONTRAST) * self.soil
        return np.asarray(means.astype(np.float32).T[:, unit] * relief, dtype=np.float32)

    def class_codes(self, season: int) -> NDArray[np.uint16]:
        """(y, x) class codes of the n-th season, 0 where there is no parcel."""
        codes = np.array([c.code for c in ALL], dtype=np.uint16)
        return np.where(
            self.mosaic.parcel > 0, codes[self.land_use.classes[self.mosaic.unit, season]], 0
        )

    def changes(self, winter: int) -> NDArray[np.uint8]:
        """(y, x) codes of `legend.CHANGES` between season `winter` and the next."""
        classes = self.land_use.classes
        kinds = change_kinds(classes[:, winter], classes[:, winter + 1])
        labelled = self.mosaic.parcel > 0
        return np.where(labelled, kinds[self.mosaic.unit], UNLABELLED_CHANGE).astype(np.uint8)

    def parcels(self) -> gpd.GeoDataFrame:
        """One row a parcel: id, class of the last season and of each season, changes, outline."""
        units = self.mosaic.parcels["unit"].to_numpy()
        classes = self.land_use.classes[units]
        table: dict[str, object] = {"parcel_id": np.arange(1, len(units) + 1, dtype=np.int32)}
        table["crop_code"], table["crop_name"] = _coded(classes[:, -1])
        for season, year in enumerate(self.settings.seasons):
            table[f"crop_code_{year}"], table[f"crop_name_{year}"] = _coded(classes[:, season])
        for winter, year in enumerate(self.settings.seasons[1:]):
            changed = change_kinds(classes[:, winter], classes[:, winter + 1])
            days = [date.fromordinal(int(d)).isoformat() for d in self.land_use.switch[units, winter]]
            table[f"change_{year}"] = changed.astype(np.int32)
            table[f"changed_on_{year}"] = np.where(changed > 0, days, "")
        table["area_px"] = self.mosaic.parcels["area_px"].to_numpy(dtype=np.int32)
        return gpd.GeoDataFrame(table, geometry=self.mosaic.parcels.geometry, crs=self.grid.crs)


def make_landscape(settings: Settings, grid: Grid) -> Landscape:
    """Make the land of a catalogue."""
    mosaic = make_mosaic(settings, grid)
    land_use = assign(settings, mosaic)
    return Landscape(
        grid=grid,
        mosaic=mosaic,
        land_use=land_use,
        traits=draw_traits(settings, len(land_use.classes), land_use.classes[:, 0]),
        soil=soil_pattern(settings, mosaic),
        patterns=season_patterns(settings, mosaic, land_use),
        settings=settings,
    )


def _coded(classes: NDArray[np.intp]) -> tuple[NDArray[np.int32], list[str]]:
    return np.array([ALL[c].code for c in classes], dtype=np.int32), [ALL[c].name for c in classes]

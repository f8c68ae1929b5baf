"""Assemble a simulated catalogue: render every pass, write its scenes, and the truth beside them."""

import io
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
from numpy.typing import NDArray
from shapely.geometry import mapping
from tqdm import tqdm

from sits_data.bands import DEFAULT_BANDS
from sits_data.output import new_folder
from sits_data.simulate.cog import encode_cog
from sits_data.simulate.landscape import Landscape, make_landscape
from sits_data.simulate.orbits import Pass, passes
from sits_data.simulate.place import Tile, aoi_polygon, home_tile, neighbour_tile
from sits_data.simulate.products import Product, products
from sits_data.simulate.readme import readme
from sits_data.simulate.scene import half_of, numbers, render, view
from sits_data.simulate.settings import EXTRAS, Settings
from sits_data.simulate.sky import Weather, forecast
from sits_data.simulate.stac import Json, item_id, make_catalog, make_collection, make_item
from sits_data.simulate.truth import describe_day, reflectance_tif, write_clear, write_json, write_land
from sits_data.threads import available_cores

MARKER = "simulation.json"
GENERATOR = "sits_data.simulate"

EPOCH = "2020-01-01T00:00:00Z"
"""The time that GeoPackages carry, so that equal settings give equal bytes."""


@dataclass(frozen=True)
class SimulatedCatalog:
    """Where a simulated catalogue lies and what it holds.

    Args:
        folder: all of it.
        catalog: `catalog.json`, what `--catalog` takes.
        aoi: the area of interest, a polygon in degrees.
        parcels: outlines and classes of the parcels.
        truth: folder of what really is there.
        start, end: first and last day with a scene.
        n_scenes, n_dates, n_parcels: how many.
    """

    folder: Path
    catalog: Path
    aoi: Path
    parcels: Path
    truth: Path
    start: date
    end: date
    n_scenes: int
    n_dates: int
    n_parcels: int


@dataclass(frozen=True)
class _Day:
    """What writing one pass leaves behind for the whole."""

    items: list[Json]
    offsets: dict[str, int]
    truth: dict[str, Any]
    clear: NDArray[np.bool_]


def simulate_catalog(
    out: str | Path,
    *,
    seed: int = 0,
    size_px: int = 336,
    start: date = date(2021, 3, 1),
    end: date = date(2022, 10, 31),
    dates: int = 72,
    second_zone: bool = False,
    split_strips: bool = False,
    wrong_flags: bool = False,
    snow: bool = False,
    overwrite: bool = False,
    progress: bool = False,
) -> SimulatedCatalog:
    """Write a Sentinel-2 L2A STAC catalogue of COGs whose truth is known.

    The same arguments give the same bytes, on any number of threads. The folder appears when all of
    it is written.

    Args:
        out: folder to make.
        seed: 0 or more.
        size_px: side of the scenes in 10 m pixels, a multiple of 6 from 96 to 1200.
        start: first day; from 2017-07-01.
        end: last day, at least 14 months later; up to 2024-12-31.
        dates: how many acquisitions to keep of those that two orbits offer, at least 16.
        second_zone: add the same acquisitions in the tile of the neighbouring UTM zone.
        split_strips: deliver every third pass as two half-covered datastrips.
        wrong_flags: deny of every other product without its offset that the offset was removed;
            `truth/offsets.json` knows better.
        snow: let snow lie on half of the winter's days.
        overwrite: replace a simulated catalogue that is there; nothing else is ever replaced.
        progress: show a bar on stderr.

    Raises:
        InvalidRequest: an argument is out of its range.
        OutputExists: `out` is there already.
        OutputNotWritable: no permission, or the disk is full.
    """
    settings = Settings(seed, size_px, start, end, dates, second_zone, split_strips, wrong_flags, snow)
    home = home_tile(size_px)
    tiles = (home, neighbour_tile(home)) if second_zone else (home,)
    flown = passes(settings)
    weather = forecast(settings, flown)
    clearest = sorted(
        range(len(flown)), key=lambda i: (weather[i].partial, weather[i].cirrus, weather[i].cover)
    )
    made = products(settings, flown, clearest)
    out = Path(out)
    what = "a simulated catalogue"
    with new_folder(out, what=what, is_one=is_simulated, overwrite=overwrite) as folder:
        landscape = make_landscape(settings, home.grid)
        writer = _Writer(folder, settings, landscape, tiles)
        days = writer.write_days(flown, weather, made, progress=progress)
        items = [item for day in days for item in day.items]
        writer.write_stac(items)
        writer.write_truth(flown, days)
        writer.write_vectors()
        write_json(folder / MARKER, {"generator": GENERATOR, **_plain(settings)})
        (folder / "README.md").write_text(readme(settings, len(items), len(days)), encoding="utf-8")
    return SimulatedCatalog(
        folder=out,
        catalog=out / "catalog.json",
        aoi=out / "aoi.geojson",
        parcels=out / "parcels.gpkg",
        truth=out / "truth",
        start=flown[0].day,
        end=flown[-1].day,
        n_scenes=len(items),
        n_dates=len(days),
        n_parcels=len(landscape.mosaic.parcels),
    )


def is_simulated(folder: Path) -> bool:
    """Whether a folder is a simulated catalogue."""
    try:
        content = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("generator") == GENERATOR


@dataclass(frozen=True)
class _Writer:
    """Writes into one folder; passes are independent of each other, so threads share them."""

    folder: Path
    settings: Settings
    landscape: Landscape
    tiles: tuple[Tile, ...]

    def write_days(
        self, flown: list[Pass], weather: list[Weather], made: list[list[Product]], *, progress: bool
    ) -> list[_Day]:
        (self.folder / "truth" / "reflectance").mkdir(parents=True)
        with ThreadPoolExecutor(available_cores()) as pool:
            results = pool.map(self._write_day, flown, weather, made)
            try:
                return list(tqdm(results, "simulate", len(flown), unit="date", disable=not progress))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _write_day(self, flown: Pass, weather: Weather, made: list[Product]) -> _Day:
        rendered = render(self.settings, self.landscape, flown, weather)
        truth = reflectance_tif(self.landscape, rendered.land)
        (self.folder / "truth" / "reflectance" / f"{flown.day}.tif").write_bytes(truth)
        items, offsets = [], {}
        for tile in self.tiles:
            whole = view(self.settings, rendered, flown, home=self.tiles[0], tile=tile)
            for product in made:
                seen_as = half_of(whole, product)
                name = item_id(flown, tile, product)
                folder = self.folder / "items" / name
                folder.mkdir(parents=True)
                rng = self.settings.rng(name)
                for band in DEFAULT_BANDS:
                    dn = numbers(rng, seen_as, band, product)
                    (folder / f"{band}.tif").write_bytes(encode_cog(dn, tile.grid))
                (folder / "SCL.tif").write_bytes(encode_cog(seen_as.scl, tile.grid, categories=True))
                items.append(make_item(flown, tile, product, seen_as))
                offsets[name] = -product.shift_dn
                write_json(folder / f"{name}.json", items[-1])
        described = describe_day(rendered, list(offsets))
        return _Day(items, offsets, described, rendered.sky.clear)

    def write_stac(self, items: list[Json]) -> None:
        title = f"Simulated Sentinel-2 L2A, seed {self.settings.seed}"
        write_json(self.folder / "catalog.json", make_catalog(title))
        write_json(self.folder / "collection.json", make_collection(items, title))

    def write_truth(self, flown: list[Pass], days: list[_Day]) -> None:
        truth = self.folder / "truth"
        names = [p.day.isoformat() for p in flown]
        write_land(truth, self.landscape)
        write_clear(truth, self.landscape, np.stack([d.clear for d in days]).astype(np.uint8), names)
        described = [
            {"date": name, "platform": p.platform, "relative_orbit": p.track.relative, **day.truth}
            for name, p, day in zip(names, flown, days, strict=True)
        ]
        write_json(truth / "dates.json", described)
        if self.settings.wrong_flags:
            offsets = {name: offset_dn for day in days for name, offset_dn in day.offsets.items()}
            write_json(truth / "offsets.json", offsets)

    def write_vectors(self) -> None:
        parcels = self.landscape.parcels()
        (self.folder / "parcels.gpkg").write_bytes(_geopackage(parcels, "parcels"))
        area = mapping(aoi_polygon(self.tiles[0]))
        feature = {"type": "Feature", "properties": {"name": "simulated farmland"}, "geometry": area}
        write_json(self.folder / "aoi.geojson", {"type": "FeatureCollection", "features": [feature]})


def _geopackage(frame: gpd.GeoDataFrame, layer: str) -> bytes:
    # GDAL stamps the time of writing unless told otherwise, and listens to no layer option for it.
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": EPOCH})
    try:
        buffer = io.BytesIO()
        pyogrio.write_dataframe(frame, buffer, layer=layer, driver="GPKG")
        return buffer.getvalue()
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def _plain(settings: Settings) -> dict[str, Any]:
    """The settings as JSON; an extra that was not asked for is left out."""
    plain = {name: str(v) if isinstance(v, date) else v for name, v in asdict(settings).items()}
    return {name: v for name, v in plain.items() if v or name not in EXTRAS}

"""The README that a simulated catalogue carries."""

from sits_data.simulate.legend import CLASSES, TEXTURE_PAIRS, TIME_PAIRS
from sits_data.simulate.settings import Settings

TEXT = """\
# Simulated Sentinel-2 L2A

Nothing here was seen by a satellite. Seed {seed}: {scenes} scenes on {dates} dates from {start} to
{end}, {size} x {size} pixels of 10 m in EPSG:32632{zone}.

    sits-data build-cube --aoi aoi.geojson --catalog catalog.json --start {start} --end {end}
    sits-data planarize aoi.zarr --regions parcels.gpkg --label-field crop_code

| file | what it is |
|---|---|
| `catalog.json` > `collection.json` > `items/ID/ID.json` | STAC like Earth Search v1, and its COGs |
| `aoi.geojson` | the area of interest, in degrees; its cube lies within the scenes |
| `parcels.gpkg` | parcels; `crop_code` is the class of the last season, `crop_code_YEAR` that of each |
| `truth/classes_YEAR.tif` | class of every parcel's pixels, 0 elsewhere; named in `truth/classes.json` |
| `truth/change.tif` | what each winter changed: see `classes.json`; 255 where there is no parcel |
| `truth/parcels.tif` | `parcel_id` of every pixel, 0 elsewhere |
| `truth/clear.tif` | a band a date: 1 where nothing hides or shades the land, 0 elsewhere |
| `truth/reflectance/DATE.tif` | cloud-free, ten bands at 10 m, DN = 10000 x reflectance + 1000 |
| `truth/dates.json` | a line a band of `clear.tif`: the date, its sky, its items |
| `simulation.json` | the settings; the same settings give the same bytes |

Some classes are hard to tell apart, on purpose:

{pairs}

Scenes before baseline 04.00 hold DN = 10000 x reflectance. Later ones hold 1000 more, unless
`earthsearch:boa_offset_applied` is true. Items whose id ends in `_1_L2A` were reprocessed; their
originals, `_0_L2A`, are noisier. The scene classification errs, mostly at the edges of clouds.
{extras}"""

EXTRA_TEXT = {
    "split_strips": """
Every third pass came in two datastrips: items `_0_L2A` and `_1_L2A` are its northern and southern half,
and `_2_L2A` and `_3_L2A` are the halves of its reprocessed product, where there is one.
""",
    "wrong_flags": """
Some items deny `earthsearch:boa_offset_applied` although their offset is gone, as real ones do.
`truth/offsets.json` has what the numbers of every item really hold, 0 or -1000.
""",
    "snow": """
Snow lies on half of the winter's days, in `truth/reflectance` too; `truth/dates.json` says how much.
""",
}


def readme(settings: Settings, scenes: int, dates: int) -> str:
    """Markdown that says what lies where."""
    names = {c.code: f"{c.name.lower()} ({c.code})" for c in CLASSES}
    pairs = [f"- {names[a]} and {names[b]} differ only in time" for a, b in TIME_PAIRS]
    pairs += [f"- {names[a]} and {names[b]} differ only in texture" for a, b in TEXTURE_PAIRS]
    return TEXT.format(
        seed=settings.seed,
        scenes=scenes,
        dates=dates,
        start=settings.start,
        end=settings.end,
        size=settings.size_px,
        zone=", and the same land in EPSG:32631" if settings.second_zone else "",
        pairs="\n".join(pairs),
        extras="".join(text for name, text in EXTRA_TEXT.items() if getattr(settings, name)),
    )

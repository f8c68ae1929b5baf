"""What really is there, beside the catalogue: rasters that a GIS opens and NumPy reads."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sits_data.bands import BANDS, DEFAULT_BANDS, DN_OFFSET, DN_SCALE, DN_SHIFT
from sits_data.simulate.cog import encode_cog
from sits_data.simulate.landscape import UNLABELLED_CHANGE, Landscape
from sits_data.simulate.legend import CHANGES, CLASSES, TEXTURE_PAIRS, TIME_PAIRS
from sits_data.simulate.noise import Field
from sits_data.simulate.scene import Rendered
from sits_data.simulate.scl import halve

CHANGE_COLOURS = {0: "#e8e8e8", 1: "#f2c14e", 2: "#c1440e", 3: "#5b2a86"}


def reflectance_tif(landscape: Landscape, land: Field) -> bytes:
    """Cloud-free reflectance of a day: ten bands, DN = 10000 ρ + 1000, at 10 m.

    Bands of 20 m are means of 2 x 2 pixels, repeated 2 x 2, as in a cube.
    """
    layers = [
        layer if BANDS[band].native_m == 10 else halve(layer).repeat(2, axis=0).repeat(2, axis=1)
        for band, layer in zip(DEFAULT_BANDS, land, strict=True)
    ]
    dn = (np.rint(np.stack(layers) * 10_000) + DN_SHIFT).clip(1, 65535).astype(np.uint16)
    return encode_cog(dn, landscape.grid, names=DEFAULT_BANDS)


def write_land(folder: Path, landscape: Landscape) -> None:
    """Write class rasters, change rasters, the parcel raster and the legend."""
    seasons = landscape.settings.seasons
    colours = {c.code: c.colour for c in CLASSES}
    for season, year in enumerate(seasons):
        codes = landscape.class_codes(season)
        (folder / f"classes_{year}.tif").write_bytes(
            encode_cog(codes, landscape.grid, colours=colours, categories=True)
        )
    changes = np.stack([landscape.changes(winter) for winter in range(len(seasons) - 1)])
    (folder / "change.tif").write_bytes(
        encode_cog(
            changes,
            landscape.grid,
            nodata=UNLABELLED_CHANGE,
            names=[f"{before}-{after}" for before, after in pairwise(seasons)],
            colours=CHANGE_COLOURS if len(changes) == 1 else None,
            categories=True,
        )
    )
    ids = landscape.mosaic.parcel.astype(np.uint16)
    (folder / "parcels.tif").write_bytes(encode_cog(ids, landscape.grid, categories=True))
    write_json(folder / "classes.json", _legend(seasons))


def write_clear(
    folder: Path, landscape: Landscape, clear: NDArray[np.uint8], days: Sequence[str]
) -> None:
    """Write `clear.tif`, one band a day: 1 clear, 0 cloud, shadow, cirrus or outside the swath."""
    (folder / "clear.tif").write_bytes(
        encode_cog(clear, landscape.grid, nodata=None, names=days, categories=True)
    )


def describe_day(rendered: Rendered, items: Sequence[str]) -> dict[str, Any]:
    """What the sky of a day was, and which items show it."""
    sky = rendered.sky
    return {
        "clear_fraction": round(float(sky.clear.mean()), 6),
        "cloud_fraction": round(float((sky.cloud > 0).mean()), 6),
        "shadow_fraction": round(float((sky.shadow > 0).mean()), 6),
        "cirrus_fraction": round(float((sky.cirrus > 0).mean()), 6),
        "seen_fraction": round(float(sky.seen.mean()), 6),
        **({} if rendered.snow is None else {"snow_fraction": round(float(rendered.snow.mean()), 6)}),
        "shadow_rows_columns": list(sky.throw_px),
        "items": list(items),
    }


def write_json(path: Path, content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write JSON for people and machines: indented, UTF-8, a newline at the end."""
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _legend(seasons: Sequence[int]) -> dict[str, Any]:
    return {
        "classes": [{"code": c.code, "name": c.name, "colour": c.colour} for c in CLASSES],
        "nodata": 0,
        "seasons": list(seasons),
        "time_pairs": [list(pair) for pair in TIME_PAIRS],
        "texture_pairs": [list(pair) for pair in TEXTURE_PAIRS],
        "changes": [{"code": code, "name": name} for code, name in CHANGES.items()],
        "change_nodata": UNLABELLED_CHANGE,
        "reflectance": {
            "bands": list(DEFAULT_BANDS),
            "scale": DN_SCALE,
            "offset": DN_OFFSET,
            "nodata": 0,
        },
    }

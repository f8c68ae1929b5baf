"""What `sits-models explain` left: maps of classes within fields, and the dates they are told by."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import rasterio
from PIL import Image
from rasterio.errors import RasterioError

from sits_models.errors import NotARun
from sits_models.geotiff import read_classes
from sits_models.report.maps import Picture
from sits_models.report.pictures import data_url, paint_classes

EXPLAINED: Final = "explain.json"


@dataclass(frozen=True)
class LookedAt:
    """One folder of explain, ready to be shown.

    Args:
        name: of the folder.
        about: what was explained, in words.
        told: figures, in words.
        dates: profiles of the classes.
        map: the class of each pixel within its field.
        legend: name and colour of the classes that occur.
        regions: single fields.
    """

    name: str
    about: str
    told: tuple[str, ...]
    dates: Picture
    map: Picture
    legend: tuple[tuple[str, str], ...]
    regions: tuple[Picture, ...]


def is_explained(folder: Path) -> bool:
    """Whether a folder is what `sits-models explain` wrote."""
    return (folder / EXPLAINED).is_file()


def looked_at(folder: Path) -> LookedAt:
    """Read what explain left.

    Raises:
        NotARun: it is damaged.
    """
    try:
        told = json.loads((folder / EXPLAINED).read_bytes())
        settings, verdict = told["settings"], told["intruders"]
        lines = [
            f"{told['coverage']:.0%} of the pixels are shown in an image, "
            f"{told['otherwise']:.0%} of them are named otherwise than their field.",
            f"{told['kept']} of {told['dates']} dates stand out ({settings['rule']}).",
        ]
        if verdict is not None:
            lines += _verdict(verdict)
        with rasterio.open(folder / "semantic.tif") as raster:
            named = raster.read(1)
        classes = read_classes(folder / "semantic.tif")
        dates = _picture(folder / "dates.png", "Which dates each class is told by")
        regions = tuple(
            _picture(file, f"Region {file.stem.removeprefix('region-')}")
            for file in sorted(folder.glob("region-*.png"))
        )
    except (OSError, ValueError, KeyError, TypeError, RasterioError) as error:
        reason = " ".join(str(error).split())
        raise NotARun(
            f"{folder} must be what this version writes, it cannot be read ({reason}); run sits-models "
            "explain again"
        ) from error
    inside = named < len(classes)
    rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    shown = named[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    occurring = np.unique(named[inside])
    return LookedAt(
        name=folder.resolve().name,
        about=f"{Path(settings['checkpoint']).name} on {Path(settings['store']).name}, {told['how']}",
        told=tuple(lines),
        dates=dates,
        map=Picture(
            "The class of each pixel within its field",
            "Map of classes within fields",
            data_url(paint_classes(shown, [one.colour for one in classes])),
        ),
        legend=tuple((classes[one].name, classes[one].colour) for one in occurring),
        regions=regions,
    )


def _verdict(verdict: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """How well planted intruders were found, a sentence a baseline."""
    found = verdict["found"]
    lines = []
    for name, apart in verdict["above"].items():
        word = "above" if apart["low"] > 0 else "below" if apart["high"] < 0 else "level with"
        lines.append(
            f"Planted intruders: intersection over union {found['value']:.3f} "
            f"[{found['low']:.3f}, {found['high']:.3f}], {word} {name} "
            f"({verdict['floors'][name]['value']:.3f})."
        )
    return lines


def _picture(file: Path, title: str) -> Picture:
    with Image.open(file) as image:
        return Picture(title, title, data_url(np.asarray(image.convert("RGB"))))

"""What explain leaves: maps on the grid of the cube, and tables."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from sits_data.manifest import LabelClass
from sits_data.store import PlanarStore
from sits_models.data.table import PixelTable
from sits_models.explain.tables import All, Line
from sits_models.geotiff import NO_CLASS, Layer, class_layer, new_cogs

SEMANTIC: Final = "semantic.tif"
DETAIL: Final = "detail.tif"

_STRIP_PX = 512


def write_maps(
    folder: Path,
    store: PlanarStore,
    table: PixelTable,
    classes: Sequence[LabelClass],
    looked: All,
) -> None:
    """Both GeoTIFFs, strip by strip: classes; saliency, images that show a pixel, and entropy.

    Args:
        folder: that they lie in.
        store: of the regions; its grid is theirs.
        table: its pixels.
        classes: that the map names.
        looked: at the regions.
    """
    grid = store.manifest.grid
    geobox = GeoBox(grid.shape, Affine(*grid.transform), grid.crs)
    rows = table.first_row.cpu().numpy()[looked.regions]
    pixel = np.concatenate(
        [first + np.arange(size) for first, size in zip(rows, looked.size, strict=True)]
    )
    yx = table.yx.cpu().numpy()[pixel]
    bands = ("saliency", "images", "entropy")
    layers = [
        class_layer(folder / SEMANTIC, classes, {"store": store.path.name}),
        Layer(folder / DETAIL, bands, "float32", float("nan")),
    ]
    height, width = grid.shape
    with new_cogs(layers, geobox, overwrite=False) as (named_map, detail):
        for top in range(0, height, _STRIP_PX):
            count = min(_STRIP_PX, height - top)
            mine = np.flatnonzero((yx[:, 0] >= top) & (yx[:, 0] < top + count))
            y, x = (yx[mine] - [top, 0]).T
            named = np.full((count, width), NO_CLASS, np.uint8)
            named[y, x] = np.where(looked.named[mine] < 0, NO_CLASS, looked.named[mine])
            values = np.full((len(bands), count, width), np.nan, np.float32)
            values[:, y, x] = looked.strength[mine], looked.visits[mine], looked.entropy[mine]
            window = Window(0, top, width, count)
            named_map.write(named, 1, window=window)
            detail.write(values, window=window)


def write_csv(path: Path, lines: Sequence[Line]) -> None:
    """A table of lines with the same columns, at least one."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    path.write_text(text.getvalue())

"""How often GDAL notices flipped bytes: `python -m benchmarks.flipped FOLDER`.

Zeroes 64 bytes at ten places of each of ten GeoTIFFs below a folder, and reads: by GDAL alone, and as
a build does.
"""

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox

from sits_data.errors import UnreadableSource
from sits_data.rasters import CLASSES, REFLECTANCE, RasterReader

FILES, PLACES, ZEROES = 10, 10, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    files = sorted(parser.parse_args().folder.rglob("*.tif"))
    counted: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        for file in files[:: max(1, len(files) // FILES)][:FILES]:
            for place in range(PLACES):
                counted[trial(file, Path(scratch, "flipped.tif"), (place + 2) / (PLACES + 3))] += 1
    for what, count in counted.items():
        print(f"{count:4d} {what}")


def trial(file: Path, copy: Path, share: float) -> str:
    """What becomes of a file with zeroes at a share of its length."""
    data = file.read_bytes()
    at = int(share * len(data))
    copy.write_bytes(data[:at] + bytes(ZEROES) + data[at + ZEROES :])
    with rasterio.open(file) as raster:
        truth, geobox = raster.read(), GeoBox(raster.shape, raster.transform, raster.crs)
    try:
        with rasterio.open(copy) as raster:
            read = raster.read()
    except rasterio.errors.RasterioError:
        return "noticed by GDAL"
    if (read == truth).all():
        return "no pixel was wrong"
    load = REFLECTANCE if truth.dtype == REFLECTANCE.dtype else CLASSES
    try:
        RasterReader(tries=1).read(str(copy), [(geobox, np.zeros_like(truth[0]))], load=load)
    except UnreadableSource:
        return "wrong pixels, noticed by checksum alone"
    return "wrong pixels, not noticed"


if __name__ == "__main__":
    main()

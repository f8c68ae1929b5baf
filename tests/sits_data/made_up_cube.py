"""A small cube to the letter of the contract, without building one."""

from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

SHAPE = (520, 530)  # four chunks, three of them slivers
WEST, NORTH = 574680, 5622480
BANDS = ("B04", "B08", "B11")
DATES = [17900, 17905, 17915, 17930]


def write_cube(path: Path) -> dict[str, NDArray[Any]]:
    """Write it, and give its arrays."""
    random, (height, width) = np.random.default_rng(0), SHAPE
    group = zarr.create_group(
        path,
        attributes={
            "schema": "sits-cube", "schema_version": 1, "status": "complete", "plan": "0" * 8,
            "catalog": "made up", "collection": "sentinel-2-l2a", "proj:code": "EPSG:32631",
            "spatial:transform": [10, 0, WEST, 0, -10, NORTH], "spatial:shape": [height, width],
        },
    )  # fmt: skip
    arrays = {
        "reflectance": random.integers(0, 9000, (len(DATES), len(BANDS), *SHAPE)).astype("u2"),
        "scl": random.integers(0, 12, (len(DATES), *SHAPE)).astype("u1"),
        "qa": random.choice([0, 0, 1, 2, 8], (len(DATES), *SHAPE)).astype("u1"),
    }
    for name, values in arrays.items():
        codec = BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle", typesize=values.dtype.itemsize)
        array = group.create_array(
            name, shape=values.shape, chunks=(1, *values.shape[1:-2], 512, 512), dtype=values.dtype,
            compressors=codec, fill_value=128 if name == "qa" else 0,
        )  # fmt: skip
        array[:] = values
    for name, texts in (("band", BANDS), ("scene", ("S2A_1", "S2B_2"))):
        group.create_array(name, data=np.array(texts, np.dtypes.StringDType()))
    group.create_array("time", data=np.array(DATES))
    return arrays

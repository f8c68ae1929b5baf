"""From a catalogue to a planar image and back, offline, in half a minute.

Run it cell by cell in an editor that knows `# %%`, or whole: python examples/01_field_to_planar.py
"""

# %% A Sentinel-2 catalogue with known truth (any STAC catalogue does: see docs/guide.md)
import sys
import tempfile
from datetime import date
from pathlib import Path

import numpy as np

import sits_data
from sits_data.aoi import read_aoi
from sits_data.grid import cube_grid
from sits_data.plan import Request
from sits_data.planar import gather, scatter
from sits_data.simulate import simulate_catalog
from sits_data.store import ColumnLabels, Parcels, Recipe

work = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
catalogue = work / "catalogue"
if not catalogue.exists():
    simulate_catalog(catalogue, size_px=96)

# %% A cloud-masked cube over the area's bounding box
request = Request(
    catalog=str(catalogue / "catalog.json"),
    collection="sentinel-2-l2a",
    start=date(2021, 3, 1),
    end=date(2022, 10, 31),
    bands=("B02", "B03", "B04", "B08"),
    grid=cube_grid(read_aoi(catalogue / "aoi.geojson"), 10),
)
sits_data.build_cube(request, work / "field.zarr")
cube = sits_data.open_cube(work / "field.zarr")
print(cube.reflectance.sizes)

# %% Every parcel as rows of pixels, with two curves through them
recipe = Recipe(
    regions=Parcels(path=str(catalogue / "parcels.gpkg")),
    labels=ColumnLabels(field="crop_code"),
    orders=("hilbert", "snake"),
)
if not (work / "field.planar").exists():
    sits_data.planarize(work / "field.zarr", work / "field.planar", recipe=recipe)
store = sits_data.open_store(work / "field.planar")
print(len(store), "parcels,", [one.name for one in store.manifest.classes])

# %% One parcel as a planar image: rows are dates, columns positions along the curve
image = store.planar_image(0, "hilbert")
print(image.shape, "= band, date, position")

# %% A planar image is a gather, so it can be undone exactly
pixels, curve = store.region(0).pixels, store.order(0, "hilbert")
back = scatter(gather(pixels, curve), curve, len(pixels))
assert np.array_equal(back, pixels)
print("scatter(gather(x)) == x on", pixels.shape, "= pixel, date, band")

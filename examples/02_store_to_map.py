"""From planar images to a map: pretrain, probe, fine-tune, predict, report. Offline, in a minute.

Run it cell by cell in an editor that knows `# %%`, or whole: python examples/02_store_to_map.py
"""

# %% Fields with known crops, as in 01_field_to_planar.py
import sys
import tempfile
from datetime import date
from pathlib import Path

import sits_data
from sits_data.aoi import read_aoi
from sits_data.grid import cube_grid
from sits_data.plan import Request
from sits_data.simulate import simulate_catalog
from sits_data.store import ColumnLabels, Parcels, Recipe
from sits_models.bench.design import Design
from sits_models.bench.scores import table
from sits_models.finetune import finetune
from sits_models.fit import pretrain
from sits_models.predict import predict
from sits_models.probe import probe
from sits_models.report import report

work = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
catalogue, cube, store = work / "catalogue", work / "field.zarr", work / "field.planar"
if not store.exists():
    simulate_catalog(catalogue, size_px=96)
    request = Request(
        catalog=str(catalogue / "catalog.json"),
        collection="sentinel-2-l2a",
        start=date(2021, 3, 1),
        end=date(2022, 10, 31),
        bands=("B02", "B03", "B04", "B08"),
        grid=cube_grid(read_aoi(catalogue / "aoi.geojson"), 10),
    )
    sits_data.build_cube(request, cube)
    parcels = Parcels(path=str(catalogue / "parcels.gpkg"))
    recipe = Recipe(regions=parcels, labels=ColumnLabels(field="crop_code"))
    sits_data.planarize(cube, store, recipe=recipe)

# %% Learn without labels: every setting of model, data and trainer is a word, as on the command line
learned = pretrain(
    ["--model=SimCLR", f"--data.root={store}", "--data.batch_size=32", "--trainer.max_epochs=8"],
    work / "simclr",
    overwrite=True,
)
print(f"{learned.steps} steps on {learned.regions} fields, kNN macro-F1 {learned.knn_macro_f1:.2f}")

# %% What does the frozen backbone know? Always beside what costs nothing
scores = probe(work / "simclr", store, work / "probe", design=Design(folds=2), overwrite=True)
print(table(scores))

# %% Fine-tune, then draw the map and put everything on one page
finetune(
    [
        f"--model.checkpoint={work / 'simclr'}",
        f"--data.root={store}",
        "--data.folds=2",
        "--trainer.max_steps=40",
    ],
    work / "finetune",
    overwrite=True,
)
drawn = predict(work / "finetune", cube, work / "map.tif", overwrite=True)
print(f"{drawn.pixels} pixels, {drawn.no_data} without data, in {drawn.out}")
print(report([work / "simclr", work / "probe", work / "finetune"], work / "report.html"))

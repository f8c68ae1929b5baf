"""The findings of the Deep-STaR paper, checked: `python -m benchmarks.findings --site simulated`.

Every model is trained and judged by `sits-models bench`: 5 seeds, 2 folds of blocks, 150 steps of 32
samples (ConvLSTM: of 8), ResNet-18 cut at stride 8 unless it is named otherwise. Pairs of models that
the paper ranks are then compared on the same draws of blocks. Prints a table and writes
benchmarks/results/findings-SITE.json; it goes on where it was stopped. `--site flanders` needs
`--catalog`, a folder like flanders-2019. `--site sizes` compares, on simulated land too, images at their
own size with the paper's canvas, whose time `benchmarks.train` measures.

Source of the claims: Chelali, Kurtz, Puissant and Vincent, CVIU 208-209 (2021) 103221.
"""

import argparse
import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import yaml  # type: ignore[import-untyped]
from numpy.typing import NDArray

from sits_data import build_cube, planarize
from sits_data.aoi import read_aoi
from sits_data.grid import cube_grid
from sits_data.plan import Request
from sits_data.simulate import simulate_catalog
from sits_data.store import ColumnLabels, Parcels, RasterLabels, Recipe, Superpixels
from sits_models.bench.cells import load_cell
from sits_models.bench.intervals import difference, sums_by_block
from sits_models.bench.metrics import mean_f1
from sits_models.bench.rows import BenchRow
from sits_models.data.stores import open_one
from sits_models.judge import judge

CUT = "{stride: 8}"
INTERPOLATED = "{of: timm_resnet18, of_args: {stride: 8}, every: 30}"


def walks(length: int, share: float, order: str = "walk:iid") -> dict[str, object]:
    return {"data.order": order, "data.walks": share, "data.length": length}


def resnet(name: str, settings: dict[str, object]) -> dict[str, object]:
    told = {"model.backbone_args": CUT, **settings}
    return {"name": name, "backbone": "timm_resnet18", "settings": told}


ENTRIES: list[dict[str, object]] = [
    {"name": "TempCNN", "backbone": "tempcnn", "settings": {"data.length": 4}},
    resnet("RW10", walks(10, 0.7)),
    resnet("Rand10", walks(10, 0.7, "random")),
    resnet("RW50", walks(50, 0.7)),
    resnet("RW50 10 percent", walks(50, 0.1)),
    resnet("RW50 20 percent", walks(50, 0.2)),
    resnet("RW50 50 percent", walks(50, 0.5)),
    resnet("Hilbert", {"data.order": "hilbert", "data.length": 64}),
    resnet("snake", {"data.order": "snake", "data.length": 64}),
    resnet("spiral", {"data.order": "spiral", "data.length": 64}),
    resnet("rows", walks(50, 0.7, "x")),
    {"name": "LSTM", "backbone": "lstm", "settings": {"data.length": 1}},
    {"name": "RW50 interpolated", "backbone": "regular_dates",
     "settings": {"model.backbone_args": INTERPOLATED, **walks(50, 0.7)}},
    {"name": "ConvLSTM", "backbone": "conv_lstm", "settings": {"data.batch_size": 8}},
]  # fmt: skip

SIZES: list[dict[str, object]] = [
    {"name": "own size", "backbone": "timm_resnet18", "settings": walks(50, 0.2)},
    {"name": "canvas", "backbone": "deepstar_cviu2021",
     "settings": {"model.backbone_args": "{bands: [3, 2, 1]}", **walks(50, 0.2)}},
]  # fmt: skip
"""Images at their own size, and the paper's canvas."""

PAIRS: list[tuple[str, str]] = [
    ("RW50", "RW10"),
    ("RW50", "Rand10"),
    ("RW10", "Rand10"),
    ("RW50", "RW50 10 percent"),
    ("RW50", "RW50 20 percent"),
    ("RW50", "RW50 50 percent"),
    ("RW50", "Hilbert"),
    ("RW50", "snake"),
    ("RW50", "spiral"),
    ("RW50", "rows"),
    ("Hilbert", "snake"),
    ("Hilbert", "spiral"),
    ("RW50", "RW50 interpolated"),
    ("RW50", "TempCNN"),
    ("RW50", "LSTM"),
    ("RW50", "ConvLSTM"),
    ("RW50", "raw features, random forest"),
    ("RW50 interpolated", "TempCNN"),
    ("RW50 interpolated", "LSTM"),
    ("RW50 interpolated", "ConvLSTM"),
    ("RW50 interpolated", "raw features, random forest"),
    ("own size", "canvas"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", choices=("simulated", "flanders", "sizes"), required=True)
    parser.add_argument("--catalog", type=Path, help="of the site flanders")
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work/findings"))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=150)
    asked = parser.parse_args()
    if asked.site == "flanders" and asked.catalog is None:
        parser.error("the site flanders needs --catalog, a folder like flanders-2019")
    os.environ["OMP_NUM_THREADS"] = "1"
    work = asked.work / asked.site
    work.mkdir(parents=True, exist_ok=True)
    entries = SIZES if asked.site == "sizes" else ENTRIES
    store, blocks = flanders(work, asked.catalog) if asked.site == "flanders" else simulated(work)
    told = {
        "stores": [str(store.resolve())],
        "seeds": asked.seeds,
        "unit": "region",
        "folds": 2,
        **blocks,
        "settings": {
            "model.class_weights": "balanced", "trainer.max_steps": asked.steps, "data.batch_size": 32,
            "data.dates": None,
        },
    }  # fmt: skip
    # What takes longest comes last in the lists and is begun first, so that all processes end together.
    configs = [
        write(work / f"entry-{number}.yaml", told, [entry])
        for number, entry in reversed(list(enumerate(entries)))
    ]
    with ProcessPoolExecutor(asked.processes, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(fill, configs, [work / "bench"] * len(configs)))
    done = judge(write(work / "all.yaml", told, entries), work / "bench")
    rows = {row.title.removesuffix(", fine-tuned"): row for row in done.rows}
    compared = {
        f"{one} - {other}": apart(rows[one], rows[other], work / "bench/cells")
        for one, other in PAIRS
        if one in rows
    }
    print(done.text)
    print("\n| pair | macro-F1 apart | verdict |\n| --- | --- | --- |")
    for pair, (text, verdict) in compared.items():
        print(f"| {pair} | {text} | {verdict} |")
    out = Path(f"benchmarks/results/findings-{asked.site}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    figures = {"rows": [row.model_dump(exclude={"cells"}) for row in done.rows], "pairs": compared}
    out.write_text(json.dumps(figures, indent=1) + "\n")


def simulated(work: Path) -> tuple[Path, dict[str, object]]:
    """Some 300 parcels of 11 classes, 24 dates, 4 bands."""
    out = work / "store.planar"
    if not out.exists():
        made = simulate_catalog(work / "catalogue", size_px=168, dates=24)
        bands = ("B02", "B03", "B04", "B08")
        _cube(work, str(made.catalog), made.aoi, ("2021-01-01", "2022-12-31"), bands)
        parcels = Parcels(path=str(work / "catalogue/parcels.gpkg"))
        recipe = Recipe(
            regions=parcels,
            labels=ColumnLabels(field="crop_code"),
            orders=("hilbert", "snake", "spiral"),
        )
        planarize(work / "field.zarr", out, recipe=recipe)
    return out, {"block_m": 250, "gap_m": 0}


def flanders(work: Path, catalog: Path) -> tuple[Path, dict[str, object]]:
    """Superpixels of some 30 pixels, labelled by the raster: 17 parcels do not fill folds.

    Any gap between blocks leaves hardly a region to train on, so that pieces of one field are on both
    sides: figures are too good, of all models alike.
    """
    out = work / "store.planar"
    if not out.exists():
        bands = ("B02", "B03", "B04", "B08")
        period = ("2018-08-01", "2019-11-30")
        _cube(work, str(catalog / "catalog.json"), catalog / "aoi.geojson", period, bands)
        recipe = Recipe(
            regions=Superpixels(size_px=30),
            labels=RasterLabels(path=str((catalog / "labels_ct.tif").resolve())),
            orders=("hilbert", "snake", "spiral"),
        )
        planarize(work / "field.zarr", out, recipe=recipe)
    return out, {"block_m": 80, "gap_m": 0}


def _cube(work: Path, catalog: str, aoi: Path, period: tuple[str, str], bands: tuple[str, ...]) -> None:
    start, end = (np.datetime64(day, "D").astype(object) for day in period)
    request = Request(
        catalog=catalog, collection="sentinel-2-l2a", start=start, end=end, bands=bands,
        grid=cube_grid(read_aoi(aoi), 10),
    )  # fmt: skip
    build_cube(request, work / "field.zarr")


def write(file: Path, told: dict[str, Any], entries: list[dict[str, object]]) -> Path:
    file.write_text(yaml.safe_dump({**told, "entries": entries}))
    return file


def fill(config: Path, out: Path) -> None:
    judge(config, out, device="cpu", progress=True)


def apart(one: BenchRow, other: BenchRow, cells: Path) -> tuple[str, str]:
    """The difference of two rows on the same draws of blocks, and what it says."""
    classes = len(open_one(one.store).manifest.classes)
    mine, theirs = (sums(row.cells, cells, classes) for row in (one, other))
    found = difference(mine, theirs, mean_f1, seed=0)
    word = "above" if found.low > 0 else "below" if found.high < 0 else "undecided"
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]", word


def sums(files: tuple[str, ...], cells: Path, classes: int) -> NDArray[np.int64]:
    """(S, G, K, K) of a row; all its cells test the same samples."""
    found = [cell for file in files if (cell := load_cell(cells / file)) is not None]
    return np.stack([sums_by_block(cell.block, cell.true, cell.named, classes) for cell in found])


if __name__ == "__main__":
    main()

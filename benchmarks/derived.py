"""How wrong composites and filled gaps are: `python -m benchmarks.derived`.

Simulated fields, whose cloud-free truth is known on every date, and real NDVI of which clear dates are
left out. Prints Markdown tables, medians over seeds with the smallest and largest behind them, and
writes benchmarks/results/derived.json. `--tune` prints errors by smoothing and window instead, on
seeds that the tables do not use.
"""

import argparse
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr
from numpy.typing import NDArray

from sits_data.aoi import read_aoi
from sits_data.bands import DEFAULT_BANDS
from sits_data.build import build_cube
from sits_data.composite import Compositing, composite
from sits_data.cube import open_raw
from sits_data.gapfill import Filling, gapfill, make_fill
from sits_data.grid import cube_grid
from sits_data.numbers import to_reflectance
from sits_data.periods import members, parse_period
from sits_data.plan import Request
from sits_data.simulate import simulate_catalog

SEEDS, TUNING_SEEDS = range(5), range(100, 103)
FILLINGS = {
    "linear": Filling(),
    "savgol": Filling("savgol"),
    "whittaker": Filling("whittaker"),
}
REAL = Path(__file__).resolve().parents[1] / "../shared/data/eolearn_slovenia_s2/eolearn_testeopatch.npz"
Scores = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Site:
    """A simulated cube and what is true.

    Args:
        cube: numbers and qa as built.
        truth: (time, band, y, x) cloud-free numbers.
        clear: (time, y, x), where no cloud, shadow or cirrus really was.
    """

    cube: xr.Dataset
    truth: NDArray[np.uint16]
    clear: NDArray[np.bool_]

    @property
    def days(self) -> NDArray[np.int32]:
        return self.cube["time"].values.astype("M8[D]").astype(np.int32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work/derived"))
    parser.add_argument("--tune", action="store_true")
    arguments = parser.parse_args()
    if arguments.tune:
        tune(arguments.work)
        return
    sites = [simulated(arguments.work, seed) for seed in SEEDS]
    tables = {}
    for mask, name in (("scl", "scene classification"), ("true", "true mask")):
        masked = [with_mask(site, mask) for site in sites]
        tables[f"gaps, {name}"] = gather(gap_scores(site, FILLINGS) for site in masked)
        tables[f"clear dates, {name}"] = gather(clear_scores(site) for site in masked)
        for period in ("P1M", "dekad"):
            tables[f"composites {period}, {name}"] = gather(
                composite_scores(site, period) for site in masked
            )
    if REAL.exists():
        tables["real NDVI"] = gather(real_scores(seed, FILLINGS) for seed in SEEDS)
    for title, table in tables.items():
        print(f"\n{title}\n")
        print_table(table)
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "derived.json").write_text(json.dumps(tables, indent=1) + "\n")


def tune(work: Path) -> None:
    """Errors on other seeds, by what there is to choose."""
    sites = [with_mask(simulated(work, seed), "scl") for seed in TUNING_SEEDS]
    fillings = {f"λ {10.0**k:.0e}": Filling("whittaker", smoothing=10.0**k) for k in range(1, 8)}
    fillings |= {f"window {w}": Filling("savgol", window_days=w) for w in (15, 25, 35, 45, 60, 90)}
    print_table(gather(gap_scores(site, fillings) for site in sites))


def simulated(work: Path, seed: int) -> Site:
    """A site of 72 dates in two seasons and 96 x 96 pixels, made once."""
    folder = work / f"land-{seed}"
    if not (folder / "catalog.json").exists():
        simulate_catalog(folder, seed=seed, size_px=120, dates=72)
    grid = cube_grid(read_aoi(folder / "aoi.geojson"), 10)
    request = Request(
        catalog=str(folder / "catalog.json"), collection="sentinel-2-l2a",
        start=date(2000, 1, 1), end=date(2100, 1, 1), bands=DEFAULT_BANDS, grid=grid,
    )  # fmt: skip
    raw = open_raw(build_cube(request, work / f"land-{seed}.zarr").path)
    days = raw.dates.astype("M8[D]")
    images = ("time", "y", "x")
    cube = xr.Dataset(
        {
            "reflectance": (("time", "band", "y", "x"), raw.read("reflectance")),
            "qa": (images, raw.read("qa")),
        },
        {"time": days.astype("M8[ns]"), "band": list(raw.bands)},
    )
    with rasterio.open(folder / "truth/clear.tif") as file:
        window = file.window(grid.left, grid.bottom, grid.right, grid.top)
        layer = {day: number for number, day in enumerate(file.descriptions, 1)}
        clear = file.read([layer[str(day)] for day in days], window=window).astype(bool)
    truth = []
    for day in days:
        with rasterio.open(folder / f"truth/reflectance/{day}.tif") as file:
            truth.append(file.read(window=window))
    return Site(cube, np.stack(truth), clear)


def with_mask(site: Site, mask: str) -> Site:
    """The site with the qa that was built, or with one that knows the clouds."""
    if mask == "scl":
        return site
    seen = (site.cube["qa"].values & 1) == 0
    qa = np.where(site.clear & seen, 0, 2).astype(np.uint8)
    return Site(site.cube.assign(qa=(("time", "y", "x"), qa)), site.truth, site.clear)


def usable(site: Site) -> NDArray[np.bool_]:
    """What the methods take as clear: (time, y, x)."""
    cube = site.cube
    return (cube["qa"].values == 0) & (cube["reflectance"].values != 0).all(axis=1)


def gap_scores(site: Site, fillings: Mapping[str, Filling]) -> Scores:
    """Errors where a date was unclear, of pixels with at least one clear date."""
    clear = usable(site)
    where = ~clear & clear.any(axis=0)
    scores = {"nearest clear date": errors(site, nearest_clear(site, clear), where)}
    for name, settings in fillings.items():
        made = gapfill(site.cube, settings)["reflectance"].values
        scores[name] = errors(site, made, where)
    return scores


def clear_scores(site: Site) -> Scores:
    """Errors on dates taken as clear: of what was observed, and of what smoothers make of it."""
    where = usable(site)
    scores = {"as observed": errors(site, to_reflectance(site.cube["reflectance"].values), where)}
    for name in ("savgol", "whittaker"):
        made = gapfill(site.cube, FILLINGS[name])["reflectance"].values
        scores[name] = errors(site, made, where)
    return scores


def composite_scores(site: Site, period: str) -> Scores:
    """Errors against the median of the cloud-free truth of all acquisitions in the period."""
    days, clear = site.days, usable(site)
    edges = parse_period(period).edges(days[0], days[-1])
    groups = members(edges, days)
    truth = to_reflectance(site.truth)
    target = np.stack([np.median(truth[g], axis=0) if len(g) else truth[0] * np.nan for g in groups])
    count = np.stack([clear[g].sum(axis=0) for g in groups])
    where = count > 0
    middle = (edges[:-1] + edges[1:]) / 2
    nearest = nearest_clear(site, clear, middle)
    scores = {"nearest clear date": errors_of(nearest, target, where)}
    for method in ("median", "medoid", "least-cloudy", "max-ndvi"):
        made = composite(site.cube, Compositing(period, method))["reflectance"].values
        scores[method] = errors_of(made, target, where)
    return scores


def nearest_clear(
    site: Site, clear: NDArray[np.bool_], when: NDArray[np.floating] | None = None
) -> NDArray[np.float32]:
    """The value of the clear date nearest to each date, or to other days; the earlier of equals."""
    values, days = to_reflectance(site.cube["reflectance"].values), site.days
    made = []
    for day in days if when is None else when:
        distance = np.where(clear, np.abs(days - day)[:, None, None], np.inf)
        made.append(np.take_along_axis(values, distance.argmin(axis=0)[None, None], axis=0)[0])
    return np.stack(made)


def errors(site: Site, made: NDArray[np.float32], where: NDArray[np.bool_]) -> dict[str, float]:
    return errors_of(made, to_reflectance(site.truth), where)


def errors_of(
    made: NDArray[np.float32], truth: NDArray[np.float32], where: NDArray[np.bool_]
) -> dict[str, float]:
    """Of reflectance in all bands together, in units of 0.0001, and of NDVI in units of 0.001."""
    off = (made - truth).transpose(1, 0, 2, 3)[:, where] * 1e4
    red, infrared = DEFAULT_BANDS.index("B04"), DEFAULT_BANDS.index("B08")

    def ndvi(values: NDArray[np.float32]) -> NDArray[np.float32]:
        r, n = values[:, red][where], values[:, infrared][where]
        return (n - r) / np.maximum(n + r, 0.02)

    greener = (ndvi(made) - ndvi(truth)) * 1e3
    return {
        "RMSE": rmse(off),
        "bias": float(off.mean()),
        "median error": float(np.median(np.abs(off))),
        "NDVI RMSE": rmse(greener),
        "NDVI bias": float(greener.mean()),
        "pixels": float(where.sum()),
    }


def real_scores(seed: int, fillings: Mapping[str, Filling]) -> Scores:
    """A fifth of the dates left out, their clear pixels told from the rest: NDVI in units of 0.001."""
    data = np.load(REAL)
    # A day that comes twice counts once: the first.
    days, first = np.unique(data["time"].astype("M8[D]").astype(np.int32), return_index=True)
    ndvi = data["ndvi_1e4"][first].reshape(len(days), 1, -1).astype(np.int32)
    seen = ((data["is_data"] > 0) & (data["cloud_mask"] == 0))[first]
    clear = seen.reshape(len(days), -1) & (ndvi[:, 0] > -10_000)
    hidden = np.zeros(len(days), bool)
    hidden[np.random.default_rng(seed).choice(len(days), len(days) // 5, replace=False)] = True
    left = clear & ~hidden[:, None]
    where = clear & hidden[:, None] & left.any(axis=0)
    numbers = (ndvi + 20_000).astype(np.uint16)

    def score(made: NDArray[np.integer]) -> dict[str, float]:
        off = (made[:, 0].astype(float) - 20_000 - ndvi[:, 0])[where] / 10
        return {
            "NDVI RMSE": rmse(off), "NDVI bias": float(off.mean()),
            "NDVI median error": float(np.median(np.abs(off))), "pixels": float(where.sum()),
        }  # fmt: skip

    nearest = numbers.copy()
    for t, day in enumerate(days):
        distance = np.where(left, np.abs(days - day)[:, None], 10**6)
        nearest[t] = np.take_along_axis(numbers, distance.argmin(axis=0)[None, None], axis=0)[0]
    scores = {"nearest clear date": score(nearest)}
    for name, settings in fillings.items():
        made, filled = numbers.copy(), np.zeros(left.shape, np.uint8)
        make_fill(settings, days)(made, left.copy(), filled, slice(0, left.shape[1]))
        scores[name] = score(made)
    return scores


def rmse(off: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(off, dtype=np.float64))))


def gather(runs: Iterator[Scores]) -> dict[str, dict[str, list[float]]]:
    """By method and score the values of all seeds."""
    done = list(runs)
    return {
        method: {score: [round(run[method][score], 2) for run in done] for score in done[0][method]}
        for method in done[0]
    }


def print_table(table: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    columns = [score for score in next(iter(table.values())) if score != "pixels"]
    print(f"| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")

    def shown(values: Sequence[float]) -> str:
        return f"{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})"

    for method, scores in table.items():
        print(f"| {method} | {' | '.join(shown(scores[column]) for column in columns)} |")


if __name__ == "__main__":
    main()

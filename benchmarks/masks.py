"""How right masks are, against the simulator's truth: `python -m benchmarks.masks`.

Each seed is another land and another sky. A cube of red is built of each catalogue, `sits-data mask`
runs over it with each pair of distances, and each mask is compared with `truth/clear.tif`. A pixel that
a mask calls unclear and truth too is a hit; pixels outside the swath are left out. `error` is the root
mean square difference of red reflectance, of what the mask calls clear, from the cloud-free truth.
Writes benchmarks/results/masks.json.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import from_bounds

from sits_data.aoi import features_of, read_aoi
from sits_data.bands import DEFAULT_BANDS, DN_SCALE
from sits_data.build import build_cube
from sits_data.cube import RawCube, open_raw
from sits_data.grid import cube_grid
from sits_data.mask import QaSettings, clear_pixels
from sits_data.plan import Request
from sits_data.remask import remask
from sits_data.simulate import simulate_catalog

BAND = "B04"
MASKS = ("permissive", "standard-snow", "standard", "strict")
DISTANCES = ((0, 0), (0, 20), (0, 40), (0, 60), (0, 120), (20, 0), (40, 0), (20, 20), (20, 60), (40, 60))
"""Erosion and dilation in metres."""

PLAIN = (0, 0)
WIDENED = ("standard", "strict")


@dataclass(frozen=True)
class Score:
    """One mask on one catalogue; all but the error are parts of 1."""

    seed: int
    mask: str
    erode_m: float
    dilate_m: float
    precision: float
    recall: float
    f1: float
    clear: float
    error: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="from 0")
    parser.add_argument("--size", type=int, default=240, help="side of a scene in pixels of 10 m")
    parser.add_argument("--dates", type=int, default=48, help="of each catalogue")
    arguments = parser.parse_args()
    scores: list[Score] = []
    for seed in range(arguments.seeds):
        with tempfile.TemporaryDirectory() as folder:
            scores += _scores_of_seed(seed, arguments.size, arguments.dates, Path(folder))
        print(f"seed {seed} done", flush=True)
    print(f"\n{tables(scores)}")
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    content = {"arguments": vars(arguments), "scores": [asdict(score) for score in scores]}
    (results / "masks.json").write_text(json.dumps(content, indent=1) + "\n")


def tables(scores: list[Score]) -> str:
    """Markdown: masks without distances, then distances under two of them; medians and ranges."""
    columns = "precision | recall | F1 | kept as clear | error of what is kept |"
    lines = [f"| mask | {columns}", "|---" * 6 + "|"]
    lines += [_row(name, _chosen(scores, name, *PLAIN)) for name in MASKS]
    for name in WIDENED:
        lines += ["", f"| {name}: erosion | dilation | {columns}", "|---" * 7 + "|"]
        lines += [
            _row(f"{erode_m} m | {dilate_m} m", _chosen(scores, name, erode_m, dilate_m))
            for erode_m, dilate_m in DISTANCES
        ]
    return "\n".join(lines)


def _chosen(scores: list[Score], mask: str, erode_m: float, dilate_m: float) -> list[Score]:
    wanted = mask, erode_m, dilate_m
    return [score for score in scores if (score.mask, score.erode_m, score.dilate_m) == wanted]


def _row(name: str, scores: list[Score]) -> str:
    cells = []
    for column, digits in (("precision", 3), ("recall", 3), ("f1", 3), ("clear", 3), ("error", 4)):
        values = [getattr(score, column) for score in scores]
        low, middle, high = min(values), float(np.median(values)), max(values)
        cells.append(f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})")
    return f"| {name} | {' | '.join(cells)} |"


def _scores_of_seed(seed: int, size_px: int, dates: int, folder: Path) -> Iterator[Score]:
    made = simulate_catalog(folder / "land", seed=seed, size_px=size_px, dates=dates)
    area = read_aoi(str(made.aoi))
    request = Request(
        catalog=str(made.catalog), collection="sentinel-2-l2a", start=made.start, end=made.end,
        bands=(BAND,), grid=cube_grid(area, 10), features=features_of(area),
    )  # fmt: skip
    path = build_cube(request, folder / "c.zarr").path
    raw = open_raw(path)
    clear = _read_truth(made.truth / "clear.tif", raw) == 1
    wrong = _reflectance_error(made.truth / "reflectance", raw)
    for erode_m, dilate_m in DISTANCES:
        remask(path, QaSettings(erode_m=erode_m, dilate_m=dilate_m))
        raw = open_raw(path)
        qa, scl = raw.read("qa"), raw.read("scl")
        for mask in MASKS:
            found = clear_pixels(qa, scl, mask)
            seen = scl != 0
            hits = np.count_nonzero(~found & ~clear & seen)
            called, unclear = np.count_nonzero(~found & seen), np.count_nonzero(~clear & seen)
            yield Score(
                seed, mask, erode_m, dilate_m,
                precision=hits / called, recall=hits / unclear, f1=2 * hits / (called + unclear),
                clear=np.count_nonzero(found & seen) / np.count_nonzero(seen),
                error=float(np.sqrt(np.mean(wrong[found & seen] ** 2))),
            )  # fmt: skip


def _read_truth(path: Path, raw: RawCube, bands: int | None = None) -> NDArray[np.generic]:
    """(band, y, x) of a raster of truth on the cube's grid, which lies within it, pixel on pixel."""
    with rasterio.open(path) as source:
        window = from_bounds(*raw.geobox.boundingbox.bbox, source.transform)
        assert window.round_lengths() == window.round_offsets() == window
        return np.asarray(source.read(bands, window=window))


def _reflectance_error(folder: Path, raw: RawCube) -> NDArray[np.float32]:
    """(time, y, x) what was seen in red less what was there; 0 where nothing was seen."""
    days = raw.dates.astype("datetime64[D]")
    band = DEFAULT_BANDS.index(BAND) + 1
    truth = np.stack([_read_truth(folder / f"{day}.tif", raw, band) for day in days])
    dn = raw.read("reflectance")[:, 0]
    error = (dn.astype(np.float32) - truth.astype(np.float32)) * np.float32(DN_SCALE)
    return np.where(dn != 0, error, 0)


if __name__ == "__main__":
    main()

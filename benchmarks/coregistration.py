"""How well shifts are found: planted in simulated cubes, and by two bands apart in real ones."""

import json
import shutil
import tempfile
from datetime import date
from pathlib import Path
from unittest import mock

import click
import numpy as np
import skimage.registration
from scipy import ndimage

from sits_data.aoi import read_aoi
from sits_data.build import build_cube
from sits_data.coregistration import Shifts, correct_cube, measure_shifts
from sits_data.cube import open_raw
from sits_data.grid import cube_grid
from sits_data.plan import Request
from sits_data.shifts import matching
from sits_data.simulate import simulate_catalog
from sits_data.units import UnitWriter

SHARP = ("B02", "B03", "B04", "B08")
SEASON = date(2021, 3, 1), date(2022, 10, 31)


def build(catalogue: Path, out: Path, bands: tuple[str, ...], start: date, end: date) -> Path:
    request = Request(
        catalog=str(catalogue / "catalog.json"),
        collection="sentinel-2-l2a",
        start=start,
        end=end,
        bands=bands,
        grid=cube_grid(read_aoi(catalogue / "aoi.geojson"), 10),
    )
    return build_cube(request, out).path


def plant(cube: Path, out: Path, shifts: np.ndarray) -> Path:
    """Move each date by splines of order 5: the package resamples by another rule."""
    shutil.copytree(cube, out)
    raw, writer = open_raw(cube), UnitWriter(out)
    for time, shift in enumerate(shifts):

        def move(image: np.ndarray, order: int, shift: np.ndarray = shift) -> np.ndarray:
            return ndimage.shift(image, shift, order=order, mode="nearest")

        dn = raw.read("reflectance", time)
        moved = np.stack([move(band.astype(float), 5).round().clip(1, 65535) for band in dn])
        seen = np.stack([move(band > 0, 0) for band in dn])
        writer.write("reflectance", (time, 0, 0, 0), np.where(seen, moved, 0).astype("u2")[None], fill=0)
        for name in ("scl", "qa"):
            writer.write(name, (time, 0, 0), move(raw.read(name, time), 0)[None], fill=0)
    return out


def errors(shifts: Shifts, truth: np.ndarray) -> np.ndarray:
    """(measured, 2) pixels between what was found and what was planted."""
    ok = shifts.measured
    found = shifts.shift_m[ok][:, ::-1] * [-1, 1] / shifts.resolution_m
    return np.asarray(found - (truth[ok] - np.median(truth[ok], axis=0)))


def whitened(*images: np.ndarray, **options: object) -> object:
    """scikit-image's default: each frequency counts alike."""
    return skimage.registration.phase_cross_correlation(*images, **options | {"normalization": "phase"})


def on_simulated_land(folder: Path, seeds: int) -> list[dict[str, object]]:
    rows = []
    for seed in range(seeds):
        land = simulate_catalog(folder / f"land{seed}", seed=seed, size_px=240, dates=24).folder
        truth = np.random.default_rng(seed).uniform(-1.5, 1.5, (24, 2))
        cube = build(land, folder / f"{seed}.zarr", SHARP, *SEASON)
        raw = open_raw(plant(cube, folder / f"{seed}-moved.zarr", truth))
        shifts = measure_shifts(raw)
        with mock.patch.object(matching, "phase_cross_correlation", whitened):
            peer = measure_shifts(raw)
        row: dict[str, object] = {
            "seed": seed,
            "half_clear": int((raw.clear_fraction("standard") > 0.5).sum()),
        }
        for name, found in (("ours", shifts), ("whitened", peer)):
            error = errors(found, truth)
            row[name] = {
                "measured": len(error),
                "rms_px": round(float(np.sqrt((error**2).mean())), 3),
                "max_px": round(float(np.abs(error).max()), 3),
            }
        rows.append(row)
    return rows


def on_real_land(folder: Path, catalogues: Path) -> list[dict[str, object]]:
    """All sharp bands, then red and near infrared by themselves: other noise, the same shift."""
    rows = []
    for name, start, end in (
        ("flanders-2018", date(2017, 8, 1), date(2018, 11, 30)),
        ("flanders-2019", date(2018, 8, 1), date(2019, 11, 30)),
    ):
        cubes = {
            bands: build(catalogues / name, folder / f"{name}-{'-'.join(bands)}.zarr", bands, start, end)
            for bands in (SHARP, ("B04",), ("B08",))
        }
        whole, red, infrared = (measure_shifts(open_raw(cube)) for cube in cubes.values())
        both = red.measured & infrared.measured
        apart = red.shift_m[both] - infrared.shift_m[both]
        raw = open_raw(cubes[SHARP])
        again = measure_shifts(open_raw(correct_cube(raw, whole, folder / f"{name}-c.zarr").path))
        rows.append(
            {
                "catalogue": name,
                "dates": len(whole.dates),
                "clear_above_80_pct": int((raw.clear_fraction("standard") > 0.8).sum()),
                "measured": int(whole.measured.sum()),
                "std_east_north_m": _spread(whole),
                "largest_m": round(float(np.nanmax(np.hypot(*whole.shift_m.T))), 1),
                "corrected_std_east_north_m": _spread(again),
                "red_against_infrared": {
                    "dates": int(both.sum()),
                    "median_apart_m": np.median(np.abs(apart), axis=0).round(1).tolist(),
                    "correlation": [
                        round(
                            float(np.corrcoef(red.shift_m[both, i], infrared.shift_m[both, i])[0, 1]), 2
                        )
                        for i in (0, 1)
                    ],
                },
            }
        )
    return rows


def _spread(shifts: Shifts) -> list[float]:
    return np.nanstd(shifts.shift_m, axis=0).round(2).tolist()


@click.command()
@click.option("--seeds", default=5, show_default=True, help="Simulated lands.")
@click.option(
    "--catalogues",
    type=click.Path(path_type=Path, exists=True),
    help="Folder with flanders-2018 and flanders-2019; without it only simulated land is measured.",
)
def main(seeds: int, catalogues: Path | None) -> None:
    """Print the figures of docs/results/coregistration.md as JSON."""
    with tempfile.TemporaryDirectory() as scratch:
        rows = on_simulated_land(Path(scratch), seeds)
        rows += on_real_land(Path(scratch), catalogues) if catalogues else []
    for row in rows:
        click.echo(json.dumps(row))


if __name__ == "__main__":
    main()

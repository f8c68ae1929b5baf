"""Cubes of simulated land."""

from datetime import date
from pathlib import Path

from sits_data import build_cube
from sits_data.aoi import read_aoi
from sits_data.grid import cube_grid
from sits_data.plan import Request
from sits_data.simulate import simulate_catalog


def build_field(folder: Path, *, size_px: int, dates: int) -> None:
    """Make the catalogue `catalogue` and the cube `field.zarr` of it: two years, four bands."""
    made = simulate_catalog(folder / "catalogue", size_px=size_px, dates=dates)
    request = Request(
        catalog=str(made.catalog),
        collection="sentinel-2-l2a",
        start=date(2021, 1, 1),
        end=date(2022, 12, 31),
        bands=("B02", "B03", "B04", "B08"),
        grid=cube_grid(read_aoi(made.aoi), 10),
    )
    build_cube(request, folder / "field.zarr")

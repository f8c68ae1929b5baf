import geopandas as gpd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from sits_data.errors import InvalidAOI, InvalidRequest
from sits_data.grid import Grid, Resolution, Window, cube_grid, utm_crs


def area(*bounds: float, crs: str = "EPSG:4326") -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(geometry=[shapely.box(*bounds)], crs=crs)


def test_bounds_are_snapped_outward() -> None:
    grid = cube_grid(area(600001, 5639821, 600119, 5639999, crs="EPSG:32631"), 10)
    assert (grid.left, grid.bottom, grid.right, grid.top) == (600000, 5639820, 600120, 5640000)
    assert grid.shape == (18, 12)
    assert grid.crs == "EPSG:32631"


def test_bounds_on_the_lattice_stay() -> None:
    grid = cube_grid(area(600000, 5639820, 600120, 5640000, crs="EPSG:32631"), 20)
    assert (grid.left, grid.bottom, grid.right, grid.top) == (600000, 5639820, 600120, 5640000)


def test_edges_that_bend_are_inside() -> None:
    """A parallel sags towards the central meridian, 120 m on a degree here."""
    grid = cube_grid(area(2.5, 50.0, 3.5, 51.0), 60)
    assert grid.bottom == 5538600  # the corners lie at 5538750


def test_noise_of_reprojection_adds_no_pixels() -> None:
    noise = 5e-4
    edges = (600000 - noise, 5639820 - noise, 600120 + noise, 5640000 + noise)
    assert cube_grid(area(*edges, crs="EPSG:32631"), 10).shape == (18, 12)


@pytest.mark.parametrize(
    ("longitude", "latitude", "epsg"),
    [
        (3.0, 50.8, 32631), (-0.1, 51.5, 32630), (6.1, 50.8, 32632), (151, -33.9, 32756),
        (5.0, 60.0, 32632), (2.5, 60.0, 32631), (10.0, 78.0, 32633), (8.0, 78.0, 32631),
        (-179.9, 10, 32601), (179.9, 10, 32660),
    ],
)  # fmt: skip
def test_utm_zone_is_that_of_mgrs(longitude: float, latitude: float, epsg: int) -> None:
    tiny = area(longitude - 0.01, latitude - 0.01, longitude + 0.01, latitude + 0.01)
    assert utm_crs(tiny) == f"EPSG:{epsg}"


@pytest.mark.parametrize(("west", "epsg"), [(5.7, 32631), (5.9, 32632)])
def test_zone_with_most_of_the_area_wins(west: float, epsg: int) -> None:
    assert utm_crs(area(west, 50.0, west + 0.4, 50.1)) == f"EPSG:{epsg}"


degrees = st.tuples(st.floats(-179, 178), st.floats(-79, 82), st.floats(1e-5, 1.0), st.floats(1e-5, 1.0))


@given(degrees, st.sampled_from([10, 20, 60]))
def test_grid_holds_the_area_and_no_more_than_it_must(
    box: tuple[float, float, float, float], resolution_m: Resolution
) -> None:
    west, south, width, height = box
    frame = area(west, south, west + width, south + height)
    grid = cube_grid(frame, resolution_m)
    edges = (grid.left, grid.bottom, grid.right, grid.top)
    assert all(edge % 60 == 0 for edge in edges)
    outline = frame.geometry.segmentize(0.001).to_crs(grid.crs)
    left, bottom, right, top = outline.total_bounds
    slack = 0.3  # metres; a chord between two vertices lies that near to the true edge
    assert -slack <= left - grid.left < 60 + slack
    assert -slack <= grid.right - right < 60 + slack
    assert -slack <= bottom - grid.bottom < 60 + slack
    assert -slack <= grid.top - top < 60 + slack
    assert grid.geobox.shape == grid.shape
    assert grid.geobox.boundingbox.bbox == (grid.left, grid.bottom, grid.right, grid.top)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 50))
def test_windows_tile_the_grid(rows: int, cols: int, side: int) -> None:
    grid = Grid(crs="EPSG:32631", resolution_m=60, left=0, bottom=0, right=60 * cols, top=60 * rows)
    seen = [
        (y, x)
        for w in grid.windows(side)
        for y in range(w.y, w.y + w.height)
        for x in range(w.x, w.x + w.width)
    ]
    assert len(seen) == len(set(seen)) == rows * cols


def test_window_geobox_is_a_part_of_the_geobox() -> None:
    grid = Grid(crs="EPSG:32631", resolution_m=10, left=600000, bottom=0, right=600600, top=600)
    assert grid.window_geobox(Window(3, 5, 7, 11)) == grid.geobox[3:10, 5:16]


@pytest.mark.parametrize(
    ("crs", "says"), [("EPSG:4326", "metres"), ("EPSG:2263", "metres"), ("x", "not a CRS")]
)
def test_crs_must_be_metric(crs: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        cube_grid(area(4, 50, 4.1, 50.1), 10, crs)


@pytest.mark.parametrize(
    ("bounds", "says"),
    [((-179.5, 0, 179.5, 1), "antimeridian"), ((4, 83, 5, 85), "UTM"), ((4, -82, 5, -79), "UTM")],
)
def test_area_beyond_utm_is_refused(bounds: tuple[float, ...], says: str) -> None:
    with pytest.raises(InvalidAOI, match=says):
        cube_grid(area(*bounds), 10)


def test_a_changed_copy_has_its_own_geobox() -> None:
    grid = Grid(crs="EPSG:32631", resolution_m=10, left=0, bottom=0, right=600, top=600)
    assert grid.geobox.shape == (60, 60)
    assert grid.model_copy(update={"right": 60}).geobox.shape == (60, 6)

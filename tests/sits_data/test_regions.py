from itertools import pairwise

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize

from sits_data.errors import InvalidAOI, InvalidRequest
from sits_data.regions import (
    Composite,
    block_names,
    chips,
    describe_dropped,
    neighbourhoods,
    owners,
    parcels,
    read_points,
    read_polygons,
    superpixels,
)

WEST, NORTH = 574680, 5622480


def _grid(height, width):
    return GeoBox((height, width), Affine(10, 0, WEST, 0, -10, NORTH), "EPSG:32631")


def _write(folder, geometries, name="parcels.gpkg", crs="EPSG:32631", **columns):
    path = folder / name
    frame = gpd.GeoDataFrame(columns, geometry=geometries, crs=crs)
    frame.to_parquet(path) if name.endswith("parquet") else frame.to_file(path)
    return path


def _box(row, column, height, width):
    """Pixels of the grid, as a polygon."""
    left, top = WEST + 10 * column, NORTH - 10 * row
    return shapely.box(left, top - 10 * height, left + 10 * width, top)


def _parcels(path, geobox, **settings):
    return parcels(read_polygons(path), geobox, source=str(path), **settings)


def _around(path, geobox, size_px, **settings):
    return neighbourhoods(read_points(path), geobox, size_px, source=str(path), **settings)


def _pixels(regions):
    first = [*regions.first_row, len(regions.yx)]
    return [regions.yx[a:b].tolist() for a, b in pairwise(first)]


def test_parcels_by_hand(tmp_path):
    outlines = [
        _box(0, 0, 2, 3),
        _box(1, 2, 2, 2),  # overlaps the first: the later one wins
        _box(3, 3, 4, 4),  # sticks out
        _box(50, 50, 2, 2),  # wholly outside
        shapely.Point(WEST + 1, NORTH - 31).buffer(2),  # misses every centre
        _box(3, 0, 1, 1),  # too small
    ]
    path = _write(tmp_path, outlines, crop=list("abcdef"), id=[9] * 6)
    regions = _parcels(path, _grid(4, 5), min_pixels=2)
    assert _pixels(regions) == [
        [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1]],
        [[1, 2], [1, 3], [2, 2], [2, 3]],
        [[3, 3], [3, 4]],
    ]
    assert regions.yx.dtype == np.int32
    assert regions.frame["id"].tolist() == [0, 1, 2]
    assert regions.frame["pixels"].tolist() == [5, 4, 2]
    assert regions.frame["crop"].tolist() == ["a", "b", "c"]
    assert regions.frame["source_id"].tolist() == [9, 9, 9]
    assert regions.frame.geometry.iloc[2].equals(outlines[2])
    assert describe_dropped(regions.dropped) == (
        "1 outside the cube, 1 without a pixel of their own, 1 with fewer than 2 pixels"
    )


@given(seed=st.integers(0, 2**32 - 1), shape=st.tuples(st.integers(3, 30), st.integers(3, 30)))
def test_parcels_hold_the_pixels_that_rasterize_gives(tmp_path_factory, seed, shape):
    random, grid = np.random.default_rng(seed), _grid(*shape)
    centres = random.uniform((WEST, NORTH - 10 * shape[0]), (WEST + 10 * shape[1], NORTH), (6, 2))
    blobs = shapely.buffer(shapely.points(centres), random.uniform(5, 90, 6), quad_segs=3)
    blobs = [*blobs, _box(0, 0, 1, 1)]
    path = _write(tmp_path_factory.mktemp("parcels"), blobs)
    expected = rasterize(
        [(blob, number) for number, blob in enumerate(blobs, 1)],
        out_shape=grid.shape,
        transform=grid.transform,
    )
    regions = _parcels(path, grid)
    found = np.zeros(grid.shape, int)
    numbers = np.repeat(regions.frame["id"] + 1, regions.frame["pixels"])
    found[tuple(regions.yx.T)] = numbers
    assert np.array_equal(found, expected)
    flat = regions.yx[:, 0] * shape[1] + regions.yx[:, 1]
    assert all((np.diff(part) > 0).all() for part in np.split(flat, regions.first_row[1:]))
    dropped = {index for ids in regions.dropped.values() for index in ids}
    assert dropped | set(regions.frame["id"]) == set(range(len(blobs)))


@pytest.mark.parametrize("name", ["parcels.gpkg", "parcels.geojson", "parcels.parquet"])
def test_parcels_in_degrees_are_reprojected(tmp_path, name):
    degrees = gpd.GeoSeries([_box(1, 1, 2, 2)], crs="EPSG:32631").to_crs("EPSG:4326")
    path = _write(tmp_path, degrees.to_list(), name, "EPSG:4326")
    regions = _parcels(path, _grid(4, 5))
    assert _pixels(regions) == [[[1, 1], [1, 2], [2, 1], [2, 2]]]
    assert regions.frame.crs.to_epsg() == 32631


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    size=st.integers(2, 50),
)
def test_chips_cover_every_pixel_once(shape, size):
    regions = chips(_grid(*shape), size)
    times = np.zeros(shape, int)
    np.add.at(times, tuple(regions.yx.T), 1)
    assert (times == 1).all()
    assert regions.dropped == {}
    sides = np.array([np.ptp(pixels, axis=0) + 1 for pixels in _pixels(regions)])
    assert (sides <= size).all()
    assert regions.frame["pixels"].tolist() == sides.prod(axis=1).tolist()
    np.testing.assert_allclose(regions.frame.area, regions.frame["pixels"] * 100)


def test_chips_at_the_edge_are_smaller_and_may_be_dropped():
    regions = chips(_grid(3, 5), 2, min_pixels=2)
    assert regions.frame["id"].tolist() == [0, 1, 2, 3, 4]
    assert regions.frame["pixels"].tolist() == [4, 4, 2, 2, 2]
    assert regions.dropped == {"with fewer than 2 pixels": (5,)}
    assert regions.frame.geometry.iloc[2].bounds == (WEST + 40, NORTH - 20, WEST + 50, NORTH)


def test_reordered_moves_pixels_with_their_region():
    regions = chips(_grid(3, 5), 2)
    turned = regions.reordered(np.array([5, 0, 3, 1, 2, 4]))
    assert turned.frame["id"].tolist() == [5, 0, 3, 1, 2, 4]
    assert _pixels(turned) == [_pixels(regions)[i] for i in (5, 0, 3, 1, 2, 4)]


def test_blocks_are_named_on_an_absolute_lattice():
    frame = gpd.GeoDataFrame(geometry=[_box(0, 0, 2, 2), _box(60, 40, 2, 2)], crs="EPSG:32631")
    assert block_names(frame, 1000) == ["32631:574:5622", "32631:575:5621"]
    assert block_names(frame, 10_000) == ["32631:57:562", "32631:57:562"]


BOW_TIE = shapely.Polygon(
    [(WEST, NORTH), (WEST + 50, NORTH - 50), (WEST + 50, NORTH), (WEST, NORTH - 50)]
)


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        (BOW_TIE, "feature 0 is not valid.*Self-intersection.*repair"),
        (shapely.Polygon(), "feature 0 has an empty geometry"),
        (shapely.Point(WEST, NORTH), "the file has Point; give points --around 7"),
        (_box(90, 90, 2, 2), r"none of the 1 parcels .* \(1 outside the cube\); the cube covers"),
    ],
)
def test_parcels_that_cannot_be_regions(tmp_path, geometry, message):
    path = _write(tmp_path, [geometry], name="p.parquet")
    with pytest.raises(InvalidAOI, match=message):
        _parcels(path, _grid(4, 5))


def test_parcels_without_a_file(tmp_path):
    with pytest.raises(InvalidAOI, match="does not exist; give a GeoJSON, GeoPackage"):
        _parcels(tmp_path / "none.gpkg", _grid(4, 5))


@pytest.mark.parametrize(
    ("size", "min_pixels", "block_m", "message"),
    [
        (1, 1, 1000, "chip size must be at least 2 pixels, got 1; use --chips 32"),
        (2, 0, 1000, "the minimum number of pixels must be at least 1, got 0"),
        (2, 5, 1000, "no chip of 2 x 2 pixels has 5; use a smaller --min-pixels"),
        (2, 1, 0, "the side of a block in metres must be at least 1, got 0"),
    ],
)
def test_chips_that_cannot_be(size, min_pixels, block_m, message):
    with pytest.raises(InvalidRequest, match=message):
        chips(_grid(4, 5), size, min_pixels=min_pixels, block_m=block_m)


def test_parcels_lose_a_strip_but_keep_their_outline(tmp_path):
    path = _write(tmp_path, [_box(1, 1, 5, 6), _box(8, 1, 2, 2)])
    regions = _parcels(path, _grid(12, 12), shrink_m=10)
    assert _pixels(regions) == [[[y, x] for y in (2, 3, 4) for x in (2, 3, 4, 5)]]
    assert regions.frame.geometry.iloc[0].equals(_box(1, 1, 5, 6))
    assert regions.dropped == {"without a pixel of their own": (1,)}


def test_parcels_take_what_they_touch_when_asked(tmp_path):
    thin = shapely.box(WEST + 12, NORTH - 58, WEST + 13, NORTH - 21)
    path = _write(tmp_path, [thin, _box(8, 8, 1, 1)])
    assert _parcels(path, _grid(12, 12)).frame["id"].tolist() == [1]
    touched = _parcels(path, _grid(12, 12), all_touched=True)
    assert _pixels(touched)[0] == [[2, 1], [3, 1], [4, 1], [5, 1]]


@given(
    shape=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    size=st.integers(2, 12),
    stride=st.integers(1, 12),
)
def test_chips_overlap_by_size_less_stride(shape, size, stride):
    stride = min(stride, size)
    regions = chips(_grid(*shape), size, stride_px=stride)
    assert set(map(tuple, regions.yx.tolist())) == set(np.ndindex(shape))
    corners = np.array([pixels[0] for pixels in _pixels(regions)])
    assert (corners % stride == 0).all()
    for pixels in _pixels(regions):
        (top, left), (bottom, right) = pixels[0], pixels[-1]
        assert pixels == [[y, x] for y in range(top, bottom + 1) for x in range(left, right + 1)]
        assert max(bottom - top, right - left) < size
    np.testing.assert_allclose(regions.frame.area, regions.frame["pixels"] * 100)
    # No chip lies wholly inside another one.
    ends = np.array([pixels[-1] for pixels in _pixels(regions)])
    inside = (corners[:, None] >= corners).all(2) & (ends[:, None] <= ends).all(2)
    assert inside.sum() == len(regions.frame)


def test_points_have_squares_around_them_that_may_overlap(tmp_path):
    places = [(2.5, 3.5), (2.5, 4.5), (0.5, 0.5), (40, 40)]
    points = [shapely.Point(WEST + 10 * x, NORTH - 10 * y) for y, x in places]
    path = _write(tmp_path, points, crop=list("abcd"))
    regions = _around(path, _grid(6, 8), 3, min_pixels=4)
    assert _pixels(regions) == [
        [[y, x] for y in (1, 2, 3) for x in (2, 3, 4)],
        [[y, x] for y in (1, 2, 3) for x in (3, 4, 5)],
        [[0, 0], [0, 1], [1, 0], [1, 1]],
    ]
    assert regions.frame["crop"].tolist() == ["a", "b", "c"]
    assert regions.dropped == {"outside the cube": (3,)}
    assert regions.frame.geometry.iloc[0].equals(_box(1, 2, 3, 3))
    assert regions.frame.geometry.iloc[2].equals(_box(0, 0, 2, 2))


def test_points_that_cannot_be_regions(tmp_path):
    path = _write(tmp_path, [shapely.Point(0, 0)])
    with pytest.raises(InvalidAOI, match=r"none of the 1 points of .* is kept .1 outside the cube"):
        _around(path, _grid(4, 5), 3)
    with pytest.raises(InvalidRequest, match="must be odd, got 4; use 5"):
        _around(path, _grid(4, 5), 4)
    with pytest.raises(InvalidAOI, match="the file has Polygon; take polygons without --around"):
        _around(_write(tmp_path, [_box(0, 0, 1, 1)], "b.gpkg"), _grid(4, 5), 3)


def _halves(y, x, shape, edge):
    """A part of the grid that is bright from column `edge` on."""
    bright = (np.arange(shape[1]) >= edge)[None, :, None] * np.ones((*shape, 2))
    noise = np.random.default_rng(0).normal(0, 0.01, (*shape, 2))
    return Composite(y, x, (bright + noise).astype(np.float32), np.ones(shape, bool))


def test_superpixels_follow_edges_and_stay_in_their_part():
    parts = [_halves(0, 0, (20, 20), 7), _halves(0, 20, (20, 10), 4)]
    parts[1].known[:5] = False
    regions = superpixels(_grid(20, 30), parts, 40)
    owner = np.full((20, 30), -1)
    for number, pixels in enumerate(_pixels(regions)):
        owner[tuple(np.array(pixels).T)] = number
    assert (owner[:5, 20:] == -1).all()
    assert (np.delete(owner, range(20, 30), axis=1) >= 0).all()
    assert (owner[5:] >= 0).all()
    for left, right in [(7, 20), (20, 24)]:
        assert not set(owner[5:, :left].ravel()) & set(owner[5:, left:right].ravel())
    sizes = regions.frame["pixels"]
    assert 20 <= sizes.median() <= 60
    np.testing.assert_allclose(regions.frame.area, sizes * 100)
    again = superpixels(_grid(20, 30), parts, 40)
    assert _pixels(again) == _pixels(regions)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size_px": 1}, "pixels of a superpixel must be at least 2, got 1"),
        ({"size_px": 9, "compactness": 0}, "compactness must be above 0, got 0"),
        ({"size_px": 9, "min_pixels": 900}, "no superpixel has 900 pixels"),
    ],
)
def test_superpixels_that_cannot_be(settings, message):
    with pytest.raises(InvalidRequest, match=message):
        superpixels(_grid(6, 6), [_halves(0, 0, (6, 6), 3)], **settings)


def test_a_region_belongs_to_the_grid_that_has_most_of_it():
    left, right = _grid(10, 10), GeoBox((10, 10), Affine(10, 0, WEST + 60, 0, -10, NORTH), "EPSG:32631")
    shapes = [
        _box(0, 0, 2, 3),  # left only
        _box(0, 7, 2, 2),  # wholly in both
        _box(4, 5, 2, 8),  # five columns in the left one, seven in the right one
        _box(50, 50, 1, 1),  # in none
        shapely.Point(WEST + 155, NORTH - 5),  # a point of the right one
    ]
    frame = gpd.GeoDataFrame(geometry=shapes, crs="EPSG:32631")
    assert owners(frame, [left, right]).tolist() == [0, 0, 1, -1, 1]
    assert owners(frame.to_crs(4326), [right, left]).tolist() == [1, 0, 0, -1, 0]


def test_one_superpixel_of_a_part_with_unknown_pixels():
    known = np.ones((10, 10), bool)
    known[3, 4] = False
    image = np.random.default_rng(0).normal(size=(10, 10, 4)).astype(np.float32)
    regions = superpixels(_grid(10, 10), [Composite(0, 0, image, known)], 100)
    assert regions.frame["pixels"].tolist() == [99]

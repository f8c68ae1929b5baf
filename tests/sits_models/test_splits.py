from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from sits_data import open_store
from sits_data.errors import InvalidRequest
from sits_data.manifest import LabelClass
from sits_models.bench.design import Design
from sits_models.data.splits import block_folds, blocks_of, describe_splits, few_labels, halves
from sits_models.errors import TooFewLabels


def fields(
    places: Sequence[tuple[float, float]],
    labels: Sequence[int],
    *,
    side_m: float = 100,
    block_m: int = 1000,
    codes: Sequence[str] = "abcdefgh",
    crs: str = "EPSG:32631",
) -> Any:
    """What a split looks at of a store: square fields by their south-west corners in metres."""
    x, y = np.array(places, float).T
    outlines = shapely.box(x, y, x + side_m, y + side_m)
    frame = gpd.GeoDataFrame({"pixels": [100] * len(labels)}, geometry=outlines, crs=crs)
    classes = tuple(LabelClass(code=code, name=code.upper(), colour="#112233") for code in codes)
    recipe = SimpleNamespace(block_m=block_m)
    return SimpleNamespace(
        path=Path("fields.planar"),
        manifest=SimpleNamespace(classes=classes, recipe=recipe),
        labels=np.array(labels),
        to_geopandas=lambda: frame,
    )


def in_a_row(labels: Sequence[int], *, step_m: float = 100, **settings: Any) -> Any:
    return fields([(step_m * number, 0) for number in range(len(labels))], labels, **settings)


def far_apart(frame: gpd.GeoDataFrame, train: np.ndarray, test: np.ndarray) -> float:
    """The least distance between two sides, by the definition."""
    return min(
        frame.geometry.iloc[one].distance(frame.geometry.iloc[two]) for one in train for two in test
    )


def test_halves_worked_by_hand() -> None:
    # West to east: a b a b | a b a c, each touching the next; c is in the east only.
    store = in_a_row([0, 1, 0, 1, 0, 1, 0, 2])
    split = halves([store], axis="west-east")
    assert split.train.tolist() == [0, 1, 2, 3]
    assert split.test.tolist() == [4, 5, 6]
    assert split.dropped.tolist() == [7]
    assert split.description == (
        "trained in the west, tested in the east: 4 regions to train, 3 to test, 2 classes; no gap "
        "between training and test regions; 1 region of classes that one side lacks left out"
    )


def test_gap_is_measured_between_outlines() -> None:
    # Fields of 100 m, 20 m between them: of the first half, 3 ends 20 m before the test's first.
    store = in_a_row([0, 1, 0, 1, 0, 1, 0, 1], step_m=120)
    assert halves([store], axis="west-east", gap_m=20).dropped.tolist() == []
    split = halves([store], axis="west-east", gap_m=21)
    assert (split.train.tolist(), split.dropped.tolist()) == ([0, 1, 2], [3])
    assert halves([store], axis="west-east", gap_m=141).dropped.tolist() == [2, 3]


def test_north_trains_and_south_tests() -> None:
    store = fields([(0, 100 * number) for number in range(4)], [0, 1, 0, 1])
    split = halves([store], axis="north-south")
    assert (split.train.tolist(), split.test.tolist()) == ([2, 3], [0, 1])


def test_each_labelled_region_tests_once_and_blocks_stay_whole() -> None:
    places = [(700 * (number % 20), 700 * (number // 20)) for number in range(200)]
    labels = np.random.default_rng(0).integers(-1, 4, 200)
    store = fields(places, labels)
    splits = block_folds([store], folds=5, gap_m=650, seed=3)
    tested = np.concatenate([split.test for split in splits])
    assert sorted(tested) == np.flatnonzero(labels >= 0).tolist()
    frame = store.to_geopandas()
    squares = np.floor_divide([*zip(frame.centroid.x, frame.centroid.y, strict=True)], 1000)
    for split in splits:
        sides = np.concatenate([split.train, split.test, split.dropped])
        assert sorted(sides) == np.flatnonzero(labels >= 0).tolist()
        assert far_apart(frame, split.train, split.test) >= 650
        assert len(split.dropped) > 0
        tests = {tuple(square) for square in squares[split.test]}
        others = np.concatenate([split.train, split.dropped])
        assert not tests & {tuple(square) for square in squares[others]}
        for label in range(4):
            share = (labels[split.test] == label).sum() / (labels == label).sum()
            assert 0.05 < share < 0.4
    assert describe_splits(splits).startswith(
        "5 folds by spatial blocks of 1000 m, training regions nearer than 650 m to a test region"
    )


def test_seed_decides_the_folds() -> None:
    store = fields([(700 * (n % 10), 700 * (n // 10)) for n in range(100)], [0, 1] * 50)
    one, same, other = (block_folds([store], seed=seed)[0].test.tolist() for seed in (1, 1, 2))
    assert one == same != other


def test_small_site_gets_smaller_blocks(caplog: pytest.LogCaptureFixture) -> None:
    store = fields([(150 * (n % 4), 150 * (n // 4)) for n in range(16)], [0, 1] * 8)
    with caplog.at_level("INFO", "sits_models"):
        splits = block_folds([store], folds=4, gap_m=0)
    assert splits[0].block_m == 250
    assert "blocks of 250 m instead of the store's 1000 m" in caplog.text


def test_rare_class_does_not_stop_the_deal() -> None:
    store = in_a_row([0, 1] * 10 + [2], step_m=1000)
    splits = block_folds([store], folds=5)
    assert sum(20 in split.test for split in splits) == 1


def test_stores_of_the_same_ground_share_their_folds() -> None:
    """A parcel that trains in one year must not test in another; classes go by their codes."""
    places = [(700 * (n % 10), 700 * (n // 10)) for n in range(60)]
    first = fields(places, [0, 1] * 30)
    second = fields(places, [1, 0] * 30, codes="ba")
    for split in block_folds([first, second]):
        assert set(split.test % 60) & set(split.train % 60) == set()
        assert len(split.test) == 2 * len(set(split.test % 60))


def test_blocks_of_agree_with_the_store(parcels: Path) -> None:
    store = open_store(parcels)
    assert len(np.unique(blocks_of(store))) == len(set(store.regions["block"].to_pylist()))
    blocks = blocks_of(store, block_m=200)
    centres = store.to_geopandas().centroid
    squares = np.stack([centres.x // 200, centres.y // 200], axis=1)
    for block in np.unique(blocks):
        assert len(np.unique(squares[blocks == block], axis=0)) == 1
    assert len(np.unique(blocks)) == len(np.unique(squares, axis=0))


def test_simulated_parcels_can_be_split(parcels: Path) -> None:
    store = open_store(parcels)
    split = halves(store, axis="west-east")
    shared = np.intersect1d(store.labels[split.train], store.labels[split.test])
    assert set(store.labels[split.test]) == set(store.labels[split.train]) == set(shared)


@given(
    labels=st.lists(st.integers(-1, 3), min_size=1, max_size=60),
    few=st.integers(1, 5),
    more=st.integers(5, 12),
    seed=st.integers(0, 9),
)
def test_budgets_are_nested_and_stratified(labels: list[int], few: int, more: int, seed: int) -> None:
    of_all = np.array(labels)
    samples = np.arange(len(of_all))
    small = few_labels(samples, of_all, shots=few, seed=seed)
    large = few_labels(samples, of_all, shots=more, seed=seed)
    assert set(small) <= set(large)
    counts, all_counts = (np.bincount(of_all[one] + 1, minlength=5)[1:] for one in (small, samples))
    np.testing.assert_array_equal(counts, np.minimum(all_counts, few))
    tenth = few_labels(samples, of_all, fraction=0.1, seed=seed)
    assert set(tenth) <= set(few_labels(samples, of_all, fraction=0.3, seed=seed))
    counts = np.bincount(of_all[tenth] + 1, minlength=5)[1:]
    np.testing.assert_array_equal(counts, -(-all_counts // 10))


def test_a_sample_is_chosen_whoever_else_there_is() -> None:
    labels = np.zeros(100, int)
    chosen = few_labels(np.arange(100), labels, shots=20)
    among_half = few_labels(np.arange(50), labels, shots=20)
    assert set(chosen[chosen < 50]) <= set(among_half)


def test_no_budget_keeps_all_labelled() -> None:
    assert few_labels(np.array([3, 0, 1]), np.array([0, -1, 0, 1])).tolist() == [0, 3]


@pytest.mark.parametrize(
    ("labels", "settings", "error", "message"),
    [
        ([0, 1] * 8, {"folds": 1}, InvalidRequest, "folds must be at least 2, got 1"),
        ([0, 1] * 8, {"gap_m": -5}, InvalidRequest, "the gap must be at least 0 m, got -5"),
        ([0, 1] * 8, {"block_m": 0}, InvalidRequest, "side of a block must be at least 1 m, got 0"),
        (
            [-1] * 8,
            {},
            TooFewLabels,
            "labels of at least two classes are needed, fields.planar has none",
        ),
        ([2] * 8, {}, TooFewLabels, "at least two classes are needed, fields.planar has 1"),
        ([0, 1] * 4, {}, TooFewLabels, "5 folds need labelled regions in at least 10 blocks"),
        ([0, 1] * 8, {"block_m": 400}, TooFewLabels, "has 16 of them in 4 blocks of 400 m"),
        ([0, 1] * 8, {"gap_m": 5000}, TooFewLabels, "5000 m apart: both sides need regions"),
    ],
)
def test_folds_that_cannot_be(
    labels: list[int], settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        block_folds([in_a_row(labels)], **settings)


@pytest.mark.parametrize(
    ("labels", "settings", "error", "message"),
    [
        ([0, 0, 1, 1], {"axis": "west-east"}, TooFewLabels, "0 on both sides"),
        ([0, 1, 0, 1], {"axis": "east-west"}, InvalidRequest, "must be west-east or north-south"),
        ([0, 1, 0, 1], {"axis": "west-east", "gap_m": float("nan")}, InvalidRequest, "got nan"),
        ([0, 1, 0, 1], {"axis": "west-east", "gap_m": 900}, TooFewLabels, "0 regions to train"),
    ],
)
def test_halves_that_cannot_be(
    labels: list[int], settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        halves([in_a_row(labels)], **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fraction": 0.1, "shots": 3}, "give a fraction or shots, not both"),
        ({"fraction": 0.0}, "above 0 and at most 1, got 0.0"),
        ({"fraction": 1.5}, "above 0 and at most 1, got 1.5"),
        ({"shots": 0}, "shots per class must be at least 1, got 0"),
    ],
)
def test_budgets_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        few_labels(np.arange(4), np.array([0, 1, 0, 1]), **settings)


def test_a_site_too_small_for_blocks_is_cut_in_two() -> None:
    store = in_a_row([0, 1, 0, 1])
    design, splits = Design().cut([store])
    assert (design.split, design.gap_m, len(splits)) == ("west-east", 0, 1)
    np.testing.assert_array_equal(splits[0].train, [0, 1])
    again, repeated = design.cut([store])
    assert again == design
    np.testing.assert_array_equal(repeated[0].test, splits[0].test)
    # West has only a and east only b; south has both, and so has north.
    corners = fields([(0, 0), (0, 500), (500, 0), (500, 500)], [0, 0, 1, 1])
    assert Design().cut([corners])[0].split == "north-south"


def test_blocks_are_taken_where_there_are_enough_regions() -> None:
    store = in_a_row([0, 1] * 10, step_m=1000)
    design, splits = Design().cut([store])
    assert (design.split, design.gap_m, len(splits)) == ("blocks", 50, 5)


@pytest.mark.parametrize("asked", [{"split": "blocks"}, {"folds": 5}, {"block_m": 100}])
def test_blocks_that_were_asked_for_are_not_replaced(asked: Any) -> None:
    with pytest.raises(TooFewLabels, match="5 folds need labelled regions in at least 10 blocks"):
        Design(**asked).cut([in_a_row([0, 1, 0, 1])])


def test_neither_blocks_nor_halves() -> None:
    # The first refusal is told: it says most of what can be done.
    with pytest.raises(TooFewLabels, match="5 folds need labelled regions in at least 10 blocks"):
        Design().cut([in_a_row([0, 1])])

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sits_data import open_store
from sits_data.errors import InvalidRequest
from sits_models.bench import problem as module
from sits_models.bench.design import Design
from sits_models.bench.problem import Fold, Problem, pose
from sits_models.bench.readers import READERS
from sits_models.checkpoint import ModelCard, read_card
from sits_models.data import PlanarDataModule
from sits_models.data.residence import open_table
from sits_models.data.splits import halves
from sits_models.errors import TooFewLabels

CUT: dict[str, Any] = {"folds": 3, "gap_m": 30, "seed": 4}


def posed(path: Path, **design: Any) -> Problem:
    store = open_store(path)
    return pose(store, open_table(store, resident="never"), Design(**design))


@pytest.mark.parametrize("unit", ["region", "pixel"])
def test_folds_share_no_region_and_keep_their_distance(parcels: Path, unit: Any) -> None:
    problem = posed(parcels, unit=unit, **CUT)
    outlines = open_store(parcels).to_geopandas().geometry
    assert [fold.number for fold in problem.folds] == [1, 2, 3]
    for fold in problem.folds:
        train, test = (np.unique(problem.items.regions[side]) for side in (fold.train, fold.test))
        assert outlines.iloc[train].distance(outlines.iloc[test].union_all()).min() >= 30
    tested = np.concatenate([fold.test for fold in problem.folds])
    assert sorted(tested) == list(range(len(problem.labels)))
    sizes = open_store(parcels).regions["pixels"].to_numpy()
    assert len(problem.labels) == (len(sizes) if unit == "region" else sizes.sum())


@pytest.mark.parametrize(
    ("store", "unit"), [("parcels", "region"), ("chips", "region"), ("chips", "pixel")]
)
def test_labels_are_those_of_the_store(store: str, unit: Any, request: pytest.FixtureRequest) -> None:
    problem = posed(request.getfixturevalue(store), unit=unit, folds=2, gap_m=0)
    if unit == "region":
        np.testing.assert_array_equal(problem.labels, problem.store.labels[problem.items.regions])
        assert problem.items.rows is None
        return
    assert problem.items.rows is not None
    own = problem.store.shard(f"label-{problem.store.manifest.label.name}", 0)  # type: ignore[union-attr]
    rows = problem.table.first_row.numpy()[problem.items.regions] + problem.items.rows
    np.testing.assert_array_equal(problem.labels, own[rows])
    assert len(rows) == (own >= 0).sum()


def test_unit_is_the_pixel_where_each_has_its_own_label(parcels: Path, chips: Path) -> None:
    units = [posed(path, folds=2, gap_m=0).unit for path in (parcels, chips)]
    assert units == ["region", "pixel"]


@pytest.mark.parametrize("few", [{"shots": 2}, {"fraction": 0.3}, {}])
@pytest.mark.parametrize(
    ("store", "unit"), [("parcels", "region"), ("parcels", "pixel"), ("chips", "pixel")]
)
def test_few_labels_are_those_of_the_datamodule(
    store: str, unit: Any, few: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """A model that a datamodule trains and a floor must learn from the same samples."""
    path = request.getfixturevalue(store)
    cut = CUT | {"gap_m": 0, "unit": unit}
    problem = posed(path, **cut, **few)
    for number in (0, 2, None):
        data = PlanarDataModule(str(path), fold=number, **cut, **few)
        data.setup("fit")
        (given,) = data.train_dataloader().items
        ours = problem.items.chosen(problem.final if number is None else problem.folds[number].train)
        np.testing.assert_array_equal(ours.regions, given.regions)
        if unit == "pixel":
            np.testing.assert_array_equal(ours.rows, given.rows)


def test_few_labels_thin_out_training_alone(parcels: Path) -> None:
    full, few = (posed(parcels, folds=3, gap_m=0, shots=shots) for shots in (None, 2))
    for fold, thin in zip(full.folds, few.folds, strict=True):
        there = np.bincount(full.labels[fold.train], minlength=11)
        kept = np.bincount(full.labels[thin.train], minlength=11)
        np.testing.assert_array_equal(kept, np.minimum(there, 2))
        np.testing.assert_array_equal(fold.test, thin.test)
    assert (full.design.labels, few.design.labels) == ("all", "2 shots per class")
    assert Design(fraction=0.1).labels == "10 % of each class"


def test_halves_judge_the_classes_of_both_sides(parcels: Path) -> None:
    problem = posed(parcels, split="west-east", seed=4)
    (fold,) = problem.folds
    centres = open_store(parcels).to_geopandas().centroid.x.to_numpy()
    regions = problem.items.regions
    assert centres[regions[fold.train]].max() < centres[regions[fold.test]].min()
    sides = [set(problem.labels[side].tolist()) for side in (fold.train, fold.test)]
    assert sides[0] == sides[1] == set(problem.judged.tolist()) < set(problem.labels.tolist())
    lonely = set(problem.labels.tolist()) - set(problem.judged.tolist())
    names = ", ".join(problem.store.manifest.classes[label].name for label in sorted(lonely))
    made = problem.scores("probe", [problem.majority()], notes=["mine"], began=0)
    assert made.seed == 4
    assert made.notes == (f"not judged, as one side of the split lacks them: {names}", "mine")
    assert [one.name for one in made.classes] == [
        problem.store.manifest.classes[label].name for label in problem.judged
    ]


def test_majority_is_that_of_each_fold(chips: Path) -> None:
    problem = posed(chips, folds=2, gap_m=0)
    row = problem.majority()
    assert (row.title, row.floor) == ("majority class", True)
    for fold, score in zip(problem.folds, row.folds, strict=True):
        commonest = np.bincount(problem.labels[fold.train]).argmax()
        share = float((problem.labels[fold.test] == commonest).mean())
        assert score.oa == pytest.approx(share)
        # Recall is 1, precision the share; every other class has 0.
        classes = len(np.unique(problem.labels[fold.test]))
        assert score.macro_f1 == pytest.approx(2 * share / (1 + share) / classes)
        assert (score.train, score.test) == (len(fold.train), len(fold.test))


def test_pixels_of_halves_are_of_the_judged_classes(chips: Path) -> None:
    """A region whose class is on both sides may hold pixels of one that is not."""
    problem = posed(chips, split="west-east")
    (fold,) = problem.folds
    for side in (fold.train, fold.test):
        np.testing.assert_array_equal(np.unique(problem.labels[side]), problem.judged)
    train, test = (problem.splits[0].train, problem.splits[0].test)
    everything = np.isin(problem.items.regions, np.concatenate([train, test]))
    assert len(fold.train) + len(fold.test) < everything.sum()


@pytest.mark.parametrize(
    ("store", "design"),
    [("parcels", {"folds": 3, "gap_m": 0}), ("chips", {"split": "west-east"})],
)
def test_confusion_adds_up_over_folds(
    store: str, design: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """Classes of the store that are not judged have no row in it."""
    problem = posed(request.getfixturevalue(store), **design)
    row = problem.row("m", "", floor=False, name_test=lambda fold: problem.labels[fold.test])
    assert row.macro_f1 == row.oa == 1
    tested = problem.labels[np.concatenate([fold.test for fold in problem.folds])]
    expected = np.diag(np.bincount(tested, minlength=11)[problem.judged])
    np.testing.assert_array_equal(row.confusion, expected)


@pytest.mark.parametrize("reader", READERS)
def test_reader_learns_from_the_fold_and_names_its_test_samples(parcels: Path, reader: str) -> None:
    """Features that are the label itself; what training lacks, or has one sample of, may be missed."""
    problem = posed(parcels, folds=2, gap_m=0, block_m=250)
    features = torch.nn.functional.one_hot(torch.from_numpy(problem.labels)).float()
    row = problem.read("m", reader, features, floor=True)
    for fold, score in zip(problem.folds, row.folds, strict=True):
        known = np.isin(problem.labels[fold.test], problem.labels[fold.train])
        assert 0.85 < score.oa <= known.mean()


def test_slow_readers_get_a_like_share_of_each_class(
    chips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = posed(chips, folds=2, gap_m=0)
    monkeypatch.setattr(module, "MOST", 1000)
    train = problem.folds[0].train
    some = problem.few_to_read(Fold(1, train, train[:0]))
    assert len(set(some.tolist())) == 1000
    assert set(some.tolist()) <= set(train.tolist())
    before, after = (np.bincount(problem.labels[one], minlength=11) for one in (train, some))
    np.testing.assert_allclose(after, before * 1000 / len(train), atol=1)
    made = problem.scores("probe", [], notes=[], began=0)
    assert made.notes == (
        "ridge and random forest learned from 1000 of the training samples of each fold",
    )
    monkeypatch.undo()
    np.testing.assert_array_equal(problem.few_to_read(Fold(1, train, train[:0])), train)


def test_blocks_stay_together_in_inner_folds(parcels: Path) -> None:
    problem = posed(parcels, unit="pixel", folds=2, gap_m=0, block_m=500)
    outlines = open_store(parcels).to_geopandas()
    squares = (outlines.centroid.x // 500).astype(int) * 100_000 + (outlines.centroid.y // 500).astype(
        int
    )
    expected = squares.to_numpy()[problem.items.regions]
    pairs = set(zip(problem.groups.tolist(), expected.tolist(), strict=True))
    assert len(pairs) == len(np.unique(expected)) == len(np.unique(problem.groups))
    two = posed(parcels, split="west-east")
    np.testing.assert_array_equal(two.groups, two.items.regions)


def test_what_the_checkpoint_saw_is_said(parcels: Path, chips: Path, pretrained: Path) -> None:
    card = read_card(pretrained)
    labelled = ModelCard.model_validate(card.model_dump() | {"kind": "classifier"})
    problem = posed(parcels, folds=2, gap_m=0)
    assert problem.cautions(card)[0].startswith("pretraining saw the pixels of this store")
    assert "its scores are too good" in problem.cautions(labelled)[0]
    other = posed(chips, folds=2, gap_m=0)
    assert other.cautions(labelled) == []
    # Another store of the same cube holds the same pixels.
    data = ({"store": "else.planar", "sources": dict(other.store.manifest.cube)},)
    assert len(other.cautions(card.model_copy(update={"data": data}))) == 1
    strict = other.cautions(card.model_copy(update={"mask": "strict"}))
    assert strict == ["the checkpoint learned under the mask strict, this store has standard"]


@pytest.mark.parametrize(
    ("store", "design", "error", "message"),
    [
        ("unlabelled", {}, TooFewLabels, "labels of at least two classes are needed, .* has none; plan"),
        (
            "one_class",
            {},
            TooFewLabels,
            "labels of at least two classes are needed, .* has 1; planarize",
        ),
        ("one_class", {"split": "west-east"}, TooFewLabels, "labels of at least two classes"),
        (
            "parcels",
            {"folds": 50},
            TooFewLabels,
            "50 folds need labelled regions in at least 100 blocks",
        ),
        ("parcels", {"gap_m": 9000}, TooFewLabels, "both sides need regions"),
        ("parcels", {"folds": 1}, InvalidRequest, "folds must be at least 2, got 1"),
        ("parcels", {"folds": 2, "shots": 0}, InvalidRequest, "shots per class must be at least 1"),
        ("parcels", {"folds": 2, "fraction": 1.5}, InvalidRequest, "at most 1, got 1.5"),
        ("parcels", {"folds": 2, "shots": 1, "fraction": 0.5}, InvalidRequest, "not both"),
        ("parcels", {"split": "inside-out"}, InvalidRequest, "west-east or north-south, got inside-out"),
        ("parcels", {"seed": -1}, InvalidRequest, "seed must be from 0 to 4294967295, got -1"),
        ("parcels", {"seed": 2**32}, InvalidRequest, "seed must be from 0 to 4294967295"),
    ],
)
def test_stores_and_designs_that_cannot_be(
    store: str,
    design: dict[str, Any],
    error: type[Exception],
    message: str,
    request: pytest.FixtureRequest,
) -> None:
    with pytest.raises(error, match=message) as raised:
        posed(request.getfixturevalue(store), **design)
    assert "\n" not in str(raised.value)


def test_pixels_of_both_sides_must_share_two_classes(chips: Path) -> None:
    """Regions may share them while their pixels do not."""
    store = open_store(chips)
    table = open_table(store)
    assert table.pixel_label is not None
    east = torch.zeros(len(table), dtype=torch.bool)
    east[halves(store, axis="west-east").test] = True
    label = torch.where(torch.repeat_interleave(east, table.size), 3, table.pixel_label.clamp(max=2))
    apart = replace(table, pixel_label=label)
    with pytest.raises(TooFewLabels, match=r"must share at least two classes, those of .* share 0;"):
        pose(store, apart, Design(split="west-east"))


@pytest.mark.parametrize(
    ("given", "gap_m"),
    [
        ({"split": "blocks", "folds": 2}, 50),
        ({"split": "west-east"}, 0),
        ({"split": "blocks", "folds": 2, "gap_m": 0}, 0),
        ({"split": "north-south", "gap_m": 7}, 7),
    ],
)
def test_gap_is_that_of_the_split(given: dict[str, Any], gap_m: float, parcels: Path) -> None:
    assert posed(parcels, **given).design.gap_m == gap_m


def test_settings_that_are_not_given_keep_their_defaults() -> None:
    assert Design.given({"folds": None, "shots": 3}) == Design(shots=3)

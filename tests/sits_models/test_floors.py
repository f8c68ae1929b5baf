from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sits_data import open_store
from sits_models.bench.design import Design
from sits_models.bench.floors import simple_floors
from sits_models.bench.problem import Problem, pose
from sits_models.bench.raw import raw_pixels, raw_regions
from sits_models.data.residence import open_table


@pytest.fixture(scope="module")
def pixels(chips: Path) -> Problem:
    """Every seventh pixel has a label."""
    store = open_store(chips)
    table = open_table(store)
    assert table.pixel_label is not None
    label = torch.where(torch.arange(len(table.yx)) % 7 == 0, table.pixel_label, -1)
    return pose(store, replace(table, pixel_label=label), Design(split="west-east"))


def test_raw_features_are_those_of_the_labelled_pixels(pixels: Problem) -> None:
    items = pixels.items
    assert items.rows is not None
    assert len(items) == np.sum(pixels.table.pixel_label.numpy() >= 0)  # type: ignore[union-attr]
    of_region = {one: raw_pixels(pixels.store, np.array([one])) for one in pixels.regions}
    features = [of_region[one][row] for one, row in zip(items.regions, items.rows, strict=True)]
    ridge, forest, majority = simple_floors(pixels)
    assert ridge == pixels.read("raw features", "ridge", torch.stack(features).flatten(1), floor=True)
    assert (forest.title, majority) == ("raw features, random forest", pixels.majority())
    assert forest.macro_f1 > majority.macro_f1 + 0.15


def test_raw_features_are_those_of_the_labelled_regions(parcels: Path) -> None:
    store = open_store(parcels)
    problem = pose(store, open_table(store), Design(folds=2, gap_m=0))
    features = torch.cat([raw_regions(store, np.array([one])) for one in problem.regions])
    ridge = next(simple_floors(problem))
    assert ridge == problem.read("raw features", "ridge", features.flatten(1), floor=True)

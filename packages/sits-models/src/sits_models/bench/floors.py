"""The floors that every model is held against: made by the same code, on the same samples."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from sits_models.bench.features import pixel_places
from sits_models.bench.problem import Problem
from sits_models.bench.raw import raw_pixels, raw_regions
from sits_models.bench.scores import Row
from sits_models.checkpoint import ModelCard
from sits_models.registry import create


def random_twin(card: ModelCard, *, seed: int) -> nn.Module:
    """The backbone of a card before it learned anything.

    Args:
        card: names the backbone and its arguments.
        seed: of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        twin: nn.Module = create("backbones", card.backbone, **card.backbone_arguments)
    return twin.eval()


def simple_floors(problem: Problem) -> Iterator[Row]:
    """Raw features under ridge and random forest, and the majority class."""
    features = raw_features(problem).flatten(1)
    for reader in ("ridge", "random forest"):
        yield problem.read("raw features", reader, features, floor=True)
    yield problem.majority()


def raw_features(problem: Problem) -> Tensor:
    """The series of all labelled samples, (N, bins, F) float32; see `raw`."""
    if problem.unit == "region":
        features = raw_regions(problem.store, problem.regions)
    else:
        features = raw_pixels(problem.store, problem.regions)
        features = features[pixel_places(problem.table, problem.regions, problem.items)]
    return features

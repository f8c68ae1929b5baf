"""The floors that every model is held against: made by the same code, on the same samples."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

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


def apart_by_target(features: Tensor, targets: NDArray[np.int64]) -> Tensor:
    """Features that let a reader learn each target by itself, from those that are alike for all.

    Args:
        features: (N, …, F).
        targets: (N,) 0 … P-1.

    Returns:
        (N, …, F · P), 0 but for the part of a sample's target.

    >>> apart_by_target(torch.tensor([[5.0], [6.0]]), np.array([0, 1]))
    tensor([[5., 0.],
            [0., 6.]])
    """
    of = functional.one_hot(torch.from_numpy(targets)).to(features.dtype)
    return torch.einsum("n...f,np->n...fp", features, of).flatten(-2)


def raw_features(problem: Problem) -> Tensor:
    """The series of all labelled samples, (N, bins, F) float32; see `raw` and `apart_by_target`."""
    if problem.unit == "region":
        features = raw_regions(problem.store, problem.regions)
        if problem.items.targets is not None:
            features = features[np.searchsorted(problem.regions, problem.items.regions)]
            features = apart_by_target(features, problem.items.targets)
    else:
        features = raw_pixels(problem.store, problem.regions)
        features = features[pixel_places(problem.table, problem.regions, problem.items)]
    return features

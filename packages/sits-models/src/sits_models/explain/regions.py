"""What a classifier looked at in all images of some regions, brought together."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sits_models.data.table import PixelTable
from sits_models.data.windows import Shown
from sits_models.explain.observe import WAYS, Reading
from sits_models.explain.saliency import Classifier, How
from sits_models.explain.semantic import Semantic, back_project, nothing_yet
from sits_models.explain.temporal import Profiles
from sits_models.ops.scatter import scatter

Numbers = NDArray[np.int64]

_PIXELS = 1 << 18


@dataclass(frozen=True, eq=False)
class Looked:
    """What was found in some regions, their pixels after each other.

    Args:
        regions: (R,) int64 positions in the table.
        size: (R,) int64 pixels of each.
        semantic: of the pixels.
        chances: (R, K) float32 mean probabilities over the images of each region.
        profile: (R, T) float32 mean temporal profile of its images.
    """

    regions: Numbers
    size: Numbers
    semantic: Semantic
    chances: NDArray[np.float32]
    profile: NDArray[np.float32]


def look(
    model: Classifier,
    table: PixelTable,
    regions: Numbers,
    *,
    reading: Reading,
    how: How,
    profiles: Profiles,
    weighted: bool = True,
    advance: Callable[[int], object] = lambda _: None,
) -> Iterator[Looked]:
    """Watch a classifier read regions, some at a time: as many as have about 260 000 pixels.

    Args:
        model: on the device of `reading`.
        table: the pixels, of one calendar.
        regions: (R,) int64 positions in it.
        reading: how they are shown.
        how: saliency is found.
        profiles: that the saliency is counted into.
        weighted: see `back_project`.
        advance: is told how many regions are done.
    """
    size = table.size.cpu().numpy()
    for some in _parts(regions, size[regions]):
        first = np.cumsum(size[some]) - size[some]
        pixels, classes = int(size[some].sum()), profiles.classes
        semantic = nothing_yet(pixels, classes)
        chances = torch.zeros(len(some), classes)
        profile = torch.zeros(len(some), profiles.dates)
        images = torch.zeros(len(some), 1)
        for shown in reading.images(table, some):
            found = WAYS[how](model, shown.batch, None)
            rows = _among(shown, first, found.values.device)
            semantic = semantic.joined(back_project(found, rows, pixels, weighted=weighted))
            profiles.add(found.values, found.target)
            owner = shown.owner.cpu()
            chances.index_add_(0, owner, found.chances.cpu())
            profile.index_add_(0, owner, found.values.sum(2).cpu())
            images.index_add_(0, owner, torch.ones(len(owner), 1))
        images = images.clamp(min=1)
        yield Looked(some, size[some], semantic, (chances / images).numpy(), (profile / images).numpy())
        advance(len(some))


def pixel_classes(
    model: Classifier, table: PixelTable, regions: Numbers, *, reading: Reading
) -> NDArray[np.int64]:
    """The same classifier's names of single pixels, without saliency: (P,) class, -1 where not shown.

    The layer that names a region names the features of its pixels; probabilities of a pixel that is
    shown more than once are averaged.

    Args:
        model: on the device of `reading`.
        table: the pixels.
        regions: (R,) int64 positions in it, whose pixels follow each other in the result.
        reading: how they are shown.
    """
    size = table.size.cpu().numpy()[regions]
    first, pixels = np.cumsum(size) - size, int(size.sum())
    total, count = torch.zeros(0, 0), torch.zeros(pixels, dtype=torch.int64)
    for shown in reading.images(table, regions):
        with torch.no_grad():
            features = model.backbone(shown.batch).pixels.flatten(1, -2)
            chances = model.head(features).softmax(-1).float().cpu()
        told = scatter(chances, _among(shown, first, chances.device), pixels, reduce="sum")
        total = told.values if not len(total) else total + told.values
        count += told.counts
    return torch.where(count > 0, total.argmax(1), -1).numpy()


def _among(shown: Shown, first: Numbers, device: torch.device) -> Tensor:
    """(B, L) rows among the pixels of all regions that are read, -1 = none."""
    start = torch.from_numpy(first)[shown.owner.cpu()][:, None]
    rows = shown.rows.cpu()
    return torch.where(rows < 0, -1, rows + start).to(device)


def _parts(regions: Numbers, size: Numbers) -> Iterator[Numbers]:
    """The regions in parts of a bounded number of pixels, at least one region each."""
    part = np.cumsum(size) // _PIXELS
    for ends in np.split(regions, np.flatnonzero(np.diff(part)) + 1):
        if len(ends):
            yield ends

"""What was found in all regions, and what it says of each, as lines of a table."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sits_data.manifest import LabelClass
from sits_models.bench.scores import class_names
from sits_models.explain.regions import Looked

Numbers = NDArray[np.int64]
Line = dict[str, object]


@dataclass(frozen=True, eq=False)
class All:
    """What was found in all regions, pixel by pixel: see `Looked` and `Semantic`."""

    regions: Numbers
    size: Numbers
    named: Numbers
    strength: NDArray[np.float32]
    visits: Numbers
    entropy: NDArray[np.float32]
    chances: NDArray[np.float32]
    profile: NDArray[np.float32]


def join(parts: Iterable[Looked]) -> All:
    """Parts that were looked at, as one."""
    found = [
        (
            one.regions,
            one.size,
            one.semantic.named.numpy(),
            one.semantic.strength.amax(1).numpy(),
            one.semantic.visits.numpy(),
            one.semantic.entropy.numpy(),
            one.chances,
            one.profile,
        )
        for one in parts
    ]
    return All(*map(np.concatenate, zip(*found, strict=True)))


def region_lines(looked: All, classes: Sequence[LabelClass], labels: Numbers) -> Iterator[Line]:
    """A line a region: its label and name, how much of it is shown, and named otherwise.

    Args:
        looked: at the regions.
        classes: that the classifier names.
        labels: (R,) of all regions of the store by these classes, -1 = none.
    """
    names = class_names(classes)
    ends = np.cumsum(looked.size)
    for number, region in enumerate(looked.regions.tolist()):
        part = slice(ends[number] - looked.size[number], ends[number])
        named, own = int(looked.chances[number].argmax()), int(labels[region])
        seen = looked.named[part][looked.named[part] >= 0]
        others = np.bincount(seen[seen != (own if own >= 0 else named)], minlength=len(names))
        entropy = looked.entropy[part]
        yield {
            "region": region,
            "label": names[own] if own >= 0 else "",
            "named": names[named],
            "probability": round(float(looked.chances[number, named]), 4),
            "pixels": int(looked.size[number]),
            "coverage": round(float((looked.visits[part] > 0).mean()), 4),
            "otherwise": round(float(others.sum() / max(1, len(seen))), 4),
            "mostly": names[int(others.argmax())] if others.any() else "",
            "entropy": round(float(np.nanmean(entropy)), 4) if not np.isnan(entropy).all() else 0.0,
        }


def named_otherwise(looked: All, labels: Numbers) -> float:
    """Of the pixels that are shown and labelled, those that are named otherwise."""
    own = np.repeat(labels[looked.regions], looked.size)
    both = (looked.named >= 0) & (own >= 0)
    return float((looked.named[both] != own[both]).mean()) if both.any() else 0.0


def most_mixed(lines: Sequence[Line], count: int) -> list[int]:
    """The regions with the largest share named otherwise, of those that are named rightly first.

    Where the classifier takes the whole field for something else, the map tells nothing of its parts.
    """
    ranked = sorted(
        lines,
        key=lambda one: (one["label"] not in ("", one["named"]), -float(str(one["otherwise"]))),
    )
    return [int(str(one["region"])) for one in ranked[:count]]

"""Embeddings on a plane: where regions lie to the network, by class and by place."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from sits_data.manifest import LabelClass
from sits_models.report.files import Arrays
from sits_models.report.land import blocks, explained

UNLABELLED = "#9aa5b1"
_MOST = 3000
_TILES = 6
# Colours of the corners of the land: north-west, north-east, south-west, south-east.
_CORNERS = np.array([[[45, 99, 200], [214, 84, 160]], [[20, 150, 120], [236, 160, 50]]], np.float64)


@dataclass(frozen=True)
class Dots:
    """Some dots of one colour.

    Args:
        name: of the class; empty where colour stands for a place.
        colour: `#rrggbb`.
        path: an SVG path that round caps turn into dots, on a plane of 1000 × 1000.
        count: of dots.
    """

    name: str
    colour: str
    path: str
    count: int


@dataclass(frozen=True)
class Projection:
    """Regions on the two directions in which their embeddings vary most.

    Args:
        regions: shown; `total` there are.
        dimensions: of the embedding.
        variance: share of the variance along each direction, 0 to 1.
        by_class, by_place: the same dots in two ways of colouring; no classes, no `by_class`.
        ground: the regions where they lie, in the colours of `by_place`, north up.
        class_share, place_share: of the variance that classes and blocks of land explain, chance
            taken off; None where that cannot be told.
        block_m: side of these blocks.
    """

    regions: int
    total: int
    dimensions: int
    variance: tuple[float, float]
    by_class: tuple[Dots, ...]
    by_place: tuple[Dots, ...]
    ground: tuple[Dots, ...]
    class_share: float | None
    place_share: float | None


def project(arrays: Arrays, classes: Sequence[LabelClass]) -> Projection | None:
    """Principal components of embeddings.

    Args:
        arrays: of `embedding.npz`: `embedding` (N, D), `label` (N,), `yx` (N, 2) metres.
        classes: of the store, by label; fewer than the labels say leaves names out.

    Returns:
        None with fewer than three regions, or embeddings that are not finite.
    """
    embedding = arrays["embedding"].astype(np.float64)
    finite = np.isfinite(embedding).all(axis=1)
    embedding, label, yx = embedding[finite], arrays["label"][finite], arrays["yx"][finite]
    if len(embedding) < 3 or embedding.shape[1] < 2:
        return None
    centred = embedding - embedding.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    power = sizes**2 / max(float((sizes**2).sum()), 1e-30)
    # Every region counts above; of very many some are drawn.
    shown = np.unique(np.linspace(0, len(embedding) - 1, min(len(embedding), _MOST)).astype(int))
    plane = _to_plane(centred[shown] @ directions[:2].T * (1, -1))
    place = _tiles(yx[shown])
    labelled = label >= 0
    return Projection(
        regions=len(shown),
        total=len(embedding),
        dimensions=embedding.shape[1],
        variance=(float(power[0]), float(power[1])),
        by_class=_by_class(plane, label[shown], classes),
        by_place=_by_tile(plane, place),
        ground=_by_tile(_to_plane(yx[shown][:, ::-1]), place),
        class_share=explained(embedding[labelled], label[labelled]),
        place_share=explained(embedding, blocks(yx)),
    )


def _by_class(
    plane: NDArray[np.int64], label: NDArray[np.integer], classes: Sequence[LabelClass]
) -> tuple[Dots, ...]:
    """The most frequent class first, so that rare ones lie on top; unlabelled regions below all."""
    if not (label >= 0).any():
        return ()
    values, counts = np.unique(label, return_counts=True)
    found = []
    for value in values[np.lexsort((-counts, values >= 0))].tolist():
        known = 0 <= value < len(classes)
        name = classes[value].name if known else "unlabelled" if value < 0 else f"class {value}"
        colour = classes[value].colour if known else UNLABELLED if value < 0 else _any_colour(value)
        found.append(_dots(plane[label == value], name, colour))
    return tuple(found)


def _any_colour(label: int) -> str:
    """Of a class whose store is not there to tell."""
    return str(to_hex(colormaps["tab20"](label % 20)))


def _by_tile(plane: NDArray[np.int64], tile: NDArray[np.int64]) -> tuple[Dots, ...]:
    return tuple(
        _dots(plane[tile == number], "", _tile_colour(number)) for number in np.unique(tile).tolist()
    )


def _tiles(yx: NDArray[np.floating]) -> NDArray[np.int64]:
    """Which of 6 × 6 parts of the land each region lies in."""
    low, extent = yx.min(axis=0), max(float(np.ptp(yx, axis=0).max()), 1e-9)
    part = np.minimum((_TILES * (yx - low) / extent).astype(np.int64), _TILES - 1)
    return np.asarray(part[:, 0] * _TILES + part[:, 1])


def _tile_colour(number: int) -> str:
    south, east = (part / (_TILES - 1) for part in divmod(number, _TILES))
    north_side = _CORNERS[0, 0] * (1 - east) + _CORNERS[0, 1] * east
    south_side = _CORNERS[1, 0] * (1 - east) + _CORNERS[1, 1] * east
    red, green, blue = np.round(north_side * (1 - south) + south_side * south).astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _to_plane(xy: NDArray[np.floating]) -> NDArray[np.int64]:
    """Both axes on the same scale, into 30 … 970, centred."""
    middle = (xy.min(axis=0) + xy.max(axis=0)) / 2
    extent = max(float(np.ptp(xy, axis=0).max()), 1e-30)
    return np.asarray(np.round(500 + 940 * (xy - middle) / extent), dtype=np.int64)


def _dots(xy: NDArray[np.int64], name: str, colour: str) -> Dots:
    path = "".join(f"M{x} {y}h0" for x, y in xy.tolist())
    return Dots(name, colour, path, len(xy))

"""Which planar stores to learn from, and whether they fit together."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sits_data.errors import InvalidRequest
from sits_data.manifest import LabelClass
from sits_data.store import PlanarStore, open_parts
from sits_models.errors import TooFewLabels

Labels = NDArray[np.int64]

_NAMED = 3


def find_stores(root: str | Path | Sequence[str | Path] = ".") -> list[Path]:
    """The folders of the stores that are meant.

    Args:
        root: one store or several; "." is the only `*.planar` of the working directory.

    Raises:
        InvalidRequest: no store is named, one is named twice, or "." leaves a choice.
    """
    roots = [Path(root)] if isinstance(root, str | Path) else [Path(one) for one in root]
    if not roots:
        raise InvalidRequest(
            "at least one planar store is needed, got none; name one: --store FILE.planar"
        )
    if twice := {str(one) for one in roots if roots.count(one) > 1}:
        raise InvalidRequest(f"each store may be named once, got {', '.join(sorted(twice))} twice")
    if roots != [Path()] or (Path() / "manifest.json").is_file():
        return roots
    found = sorted(Path().glob("*.planar"))
    if len(found) == 1:
        return found
    here = ", ".join(map(str, found)) or "none"
    hint = f"--store {found[0]}" if found else "--store FILE.planar, made by sits-data planarize"
    raise InvalidRequest(
        f"the folder {Path.cwd()} must hold one *.planar when no store is named, it has {here}; "
        f"name one: {hint}"
    )


def open_groups(root: str | Path | Sequence[str | Path] = ".") -> list[list[PlanarStore]]:
    """The stores that are meant, those together whose regions may share a batch.

    A store is by itself, but for the parts of a merged one: there those of a UTM zone are together.

    Raises:
        NotAStore, DamagedStore: a path holds no store of this version, or not all of it.
        InvalidRequest: see `find_stores`; or bands or resolutions differ.
    """
    groups: list[list[PlanarStore]] = []
    for path in find_stores(root):
        zones: dict[str, list[PlanarStore]] = {}
        for part in open_parts(path):
            zones.setdefault(part.manifest.grid.crs, []).append(part)
        groups += zones.values()
    _check_alike([store for group in groups for store in group])
    return groups


def open_stores(root: str | Path | Sequence[str | Path] = ".") -> list[PlanarStore]:
    """Open the stores that are meant, each part of a merged one by itself; see `open_groups`."""
    return [store for group in open_groups(root) for store in group]


def open_one(root: str | Path) -> PlanarStore:
    """Open the store that is meant, where only one can be judged at a time.

    Raises:
        NotAStore, DamagedStore: see `open_groups`.
        InvalidRequest: there are several, or the parts of a merged one.
    """
    stores = open_stores(root)
    if len(stores) > 1:
        raise InvalidRequest(
            f"one store is judged at a time, got {len(stores)} ({name_stores(stores)}); name one with "
            "--store FILE.planar"
        )
    return stores[0]


def name_stores(stores: Sequence[PlanarStore]) -> str:
    """The paths of some stores for a message, however many they are."""
    some = ", ".join(str(store.path) for store in stores[:_NAMED])
    return some if len(stores) <= _NAMED else f"{some} and {len(stores) - _NAMED} more"


def _check_alike(stores: Sequence[PlanarStore]) -> None:
    first = stores[0]
    for store in stores[1:]:
        for what, ours, theirs in [
            ("bands", ", ".join(store.manifest.bands), ", ".join(first.manifest.bands)),
            (
                "resolution",
                f"{store.manifest.grid.resolution_m} m",
                f"{first.manifest.grid.resolution_m} m",
            ),
        ]:
            if ours != theirs:
                raise InvalidRequest(
                    f"stores must have the same {what}, {store.path} has {ours} and {first.path} "
                    f"{theirs}; train on one of them, or build their cubes alike"
                )


def shared_classes(stores: Sequence[PlanarStore]) -> tuple[tuple[LabelClass, ...], list[Labels]]:
    """Classes of several stores as one list, and every region's class in it.

    Classes are the same when their codes are; the first store's come first, so that one store alone
    keeps its numbers.

    Returns:
        The classes, and of each store (R,) int64 classes, -1 = unlabelled.
    """
    classes: dict[int | str, LabelClass] = {}
    for store in stores:
        for one in store.manifest.classes:
            classes.setdefault(one.code, one)
    number = {code: label for label, code in enumerate(classes)}
    labels = []
    for store in stores:
        # The last entry serves -1, unlabelled.
        new = np.array([number[one.code] for one in store.manifest.classes] + [-1], np.int64)
        labels.append(new[store.labels])
    return tuple(classes.values()), labels


def check_labels(stores: Sequence[PlanarStore]) -> None:
    """Stop unless the regions of some stores have at least two classes.

    Raises:
        TooFewLabels: they have fewer.
    """
    labels = np.concatenate(shared_classes(stores)[1])
    found = len(np.unique(labels[labels >= 0]))
    if found < 2:
        raise TooFewLabels(
            "labels of at least two classes are needed, "
            f"{name_stores(stores)} has {found or 'none'}; planarize with "
            "--label-field or --labels, from a column or raster of more classes"
        )

"""A labelled store, cut into training and test samples: what models and floors are all judged on."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sits_data.manifest import LabelClass
from sits_data.mask import parse_mask
from sits_data.store import PlanarStore
from sits_models.bench.design import Design
from sits_models.bench.readers import READERS
from sits_models.bench.scores import FoldScore, Row, Scores, judge
from sits_models.checkpoint import ModelCard
from sits_models.data.items import Items, Unit, every_label, items_of, numbers_of
from sits_models.data.splits import Split, blocks_of, describe_splits, few_labels
from sits_models.data.table import PixelTable
from sits_models.errors import TooFewLabels

Numbers = NDArray[np.int64]
MOST = 10_000
"""Training samples that ridge and forest get at most, a like share of each class: trees are slow."""


class Fold(NamedTuple):
    """Samples of one fold, by their number among all labelled ones.

    Args:
        number: 1, 2, …
        train: (N,) int64.
        test: (M,) int64.
    """

    number: int
    train: Numbers
    test: Numbers


@dataclass(frozen=True, eq=False)
class Problem:
    """Labelled samples and their folds.

    Args:
        store: where they are.
        table: its pixels.
        design: how it was cut, nothing left open.
        unit: what one sample is.
        regions: (R,) int64 positions of the labelled regions, ascending.
        items: (N,) the samples, regions after each other, pixels in raster order, targets in theirs.
        labels: (N,) int64 classes, by `classes`.
        groups: (N,) int64 spatial block of each sample, for inner folds.
        splits: of the regions, one a fold.
        folds: the same of the samples, training labels thinned out where few were asked for.
        final: (N,) int64 samples to train on in the end, from both sides, thinned out likewise.
        judged: (K,) int64 classes that are judged: all that occur, in halves those on both sides.
    """

    store: PlanarStore
    table: PixelTable
    design: Design
    unit: Unit
    regions: Numbers
    items: Items
    labels: Numbers
    groups: Numbers
    splits: tuple[Split, ...]
    folds: tuple[Fold, ...]
    final: Numbers
    judged: Numbers

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """Those that are judged, in the order of confusion matrices."""
        return tuple(self.store.manifest.classes[number] for number in self.judged)

    def row(self, name: str, reader: str, *, floor: bool, name_test: Callable[[Fold], Numbers]) -> Row:
        """Judge one model or floor.

        Args:
            name: of the row.
            reader: of the row.
            floor: whether models have to beat it.
            name_test: gives the class of each test sample of a fold, (M,) int64 by `store.classes`.
        """
        scores: list[FoldScore] = []
        total = np.zeros((len(self.judged), len(self.judged)), np.int64)
        for fold in self.folds:
            score, confusion = self.judge(fold, name_test(fold))
            scores.append(score)
            total += confusion
        return Row(name=name, reader=reader, floor=floor, folds=tuple(scores), confusion=total.tolist())

    def judge(self, fold: Fold, named: Numbers) -> tuple[FoldScore, Numbers]:
        """The score of one fold and its confusion matrix, from (M,) int64 classes by `store.classes`."""
        position = np.full(len(self.store.manifest.classes), -1)
        position[self.judged] = np.arange(len(self.judged))
        return judge(
            position[self.labels[fold.test]],
            position[named],
            self.classes,
            fold=fold.number,
            train=len(fold.train),
        )

    def read(self, name: str, reader: str, features: Tensor, *, floor: bool) -> Row:
        """The row of features (N, D), one a sample, under one of the `READERS`."""
        labels, groups = torch.from_numpy(self.labels), torch.from_numpy(self.groups)

        def name_test(fold: Fold) -> Numbers:
            train = fold.train if reader in ("kNN", "linear") else self.few_to_read(fold)
            named = READERS[reader](
                features[train], labels[train], features[fold.test], groups=groups[train]
            )
            return named.numpy()

        return self.row(name, reader, floor=floor, name_test=name_test)

    def majority(self) -> Row:
        """The floor that always names the commonest class of the fold's training samples."""

        def name_test(fold: Fold) -> Numbers:
            commonest = np.bincount(self.labels[fold.train]).argmax()
            return np.full(len(fold.test), commonest)

        return self.row("majority class", "", floor=True, name_test=name_test)

    def cautions(self, card: ModelCard) -> list[str]:
        """What a reader of a checkpoint's scores here must know, a sentence each."""
        manifest, found = self.store.manifest, []
        plan = manifest.cube.get("plan")
        same_cube = bool(plan) and any(str(plan) in str(one.get("sources")) for one in card.data)
        if self.store.source in card.seen or same_cube:
            found.append(
                "the checkpoint was trained on labels of this store: its scores are too good"
                if card.kind == "classifier"
                else "pretraining saw the pixels of this store, those of test regions too, but no labels"
            )
        if parse_mask(card.mask) != parse_mask(manifest.mask):
            found.append(
                f"the checkpoint learned under the mask {card.mask}, this store has {manifest.mask}"
            )
        return found

    def scores(
        self,
        task: Literal["probe", "finetune"],
        rows: Sequence[Row],
        *,
        notes: Sequence[str],
        began: float,
    ) -> Scores:
        """Rows, and how they were made.

        Args:
            task: what was done.
            rows: models first, then floors.
            notes: what else a reader must know, a sentence each.
            began: when, by `time.monotonic`.
        """
        return Scores(
            task=task,
            store=str(self.store.path),
            unit=self.unit,
            classes=self.classes,
            split=describe_splits(self.splits),
            labels=self.design.labels,
            seed=self.design.seed,
            rows=tuple(rows),
            seconds=round(time.monotonic() - began, 3),
            notes=(*self._notes(), *notes),
        )

    def _notes(self) -> Iterator[str]:
        left_out = np.setdiff1d(self.labels, self.judged)
        if len(left_out):
            names = ", ".join(self.store.manifest.classes[number].name for number in left_out)
            yield f"not judged, as one side of the split lacks them: {names}"
        if max(len(fold.train) for fold in self.folds) > MOST:
            yield f"ridge and random forest learned from {MOST} of the training samples of each fold"

    def few_to_read(self, fold: Fold) -> Numbers:
        """At most `MOST` of a fold's training samples, a like share of each class."""
        train = fold.train
        if len(train) <= MOST:
            return train
        draws = np.random.default_rng([self.design.seed, 1])
        shuffled = draws.permutation(train)
        by_class = shuffled[np.argsort(self.labels[shuffled], kind="stable")]
        return np.sort(by_class[np.linspace(0, len(train) - 1, MOST).astype(np.int64)])


def pose(store: PlanarStore, table: PixelTable, design: Design) -> Problem:
    """Cut a labelled store into folds.

    Args:
        store: labelled.
        table: its pixels; where regions have several targets each is a sample.
        design: how.

    Raises:
        TooFewLabels: labels are missing, have one class, or cannot be split as asked.
        InvalidRequest: a number is out of its range.
    """
    unit = design.unit or ("region" if table.pixel_label is None else "pixel")
    design, splits = design.cut(store)
    regions = np.flatnonzero(store.labels >= 0)
    items = items_of(table, regions, unit=unit, labelled=True)
    numbers, labelled = numbers_of(table, items), every_label(table, items)
    labels = labelled[numbers]

    def few(samples: Numbers) -> Numbers:
        chosen = few_labels(
            numbers[samples], labelled, fraction=design.fraction, shots=design.shots, seed=design.seed
        )
        return samples[np.isin(numbers[samples], chosen)]

    judged = np.unique(labels)
    folds: list[Fold] = []
    for number, split in enumerate(splits, start=1):
        train, test = (
            np.flatnonzero(np.isin(items.regions, side)) for side in (split.train, split.test)
        )
        if design.split != "blocks":
            judged = np.intersect1d(labels[train], labels[test])
            train, test = (side[np.isin(labels[side], judged)] for side in (train, test))
        folds.append(Fold(number, few(train), test))
    if len(judged) < 2:
        raise TooFewLabels(
            f"training and test samples must share at least two classes, those of {store.path} share "
            f"{len(judged)}; split along the other axis, or by blocks"
        )
    return Problem(
        store=store,
        table=table,
        design=design,
        unit=unit,
        regions=regions,
        items=items,
        labels=labels,
        groups=_groups(store, splits[0], items),
        splits=tuple(splits),
        folds=tuple(folds),
        final=few(np.arange(len(labels))),
        judged=judged,
    )


def _groups(store: PlanarStore, split: Split, items: Items) -> Numbers:
    """Blocks of the ground; where it was only cut in two, regions."""
    if not split.block_m:
        return items.regions
    return blocks_of(store, block_m=split.block_m)[items.regions]

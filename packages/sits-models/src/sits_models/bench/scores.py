"""What a judgement says: one row a model or floor, every fold's score kept.

`scores.json` of a run folder is a `Scores`; the report reads it too.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from sits_data.manifest import LabelClass
from sits_data.output import write_atomically, writing_to
from sits_models.bench.metrics import class_f1, confusion_matrix

SCORES: Final = "scores.json"
TIE = 0.005
"""Two macro-F1 nearer than this count as a tie: half a point."""


class FoldScore(BaseModel, frozen=True):
    """How well one fold's test samples were named.

    Args:
        fold: its number.
        macro_f1: mean of the F1 of the classes that occur in the fold's test samples, 0 … 1. A class
            that was predicted but does not occur lowers the precision of nobody, and the recall of
            the class it was taken for.
        oa: overall accuracy, the share of test samples named right, 0 … 1.
        f1: F1 of each class that occurs in the test samples, by name.
        train, test: labelled samples.
    """

    fold: int
    macro_f1: float
    oa: float
    f1: dict[str, float]
    train: int
    test: int


class Row(BaseModel, frozen=True):
    """One model or floor, judged on every fold.

    Args:
        name: `pretrained`, `random-init`, `raw features`, `majority class`, `from scratch`.
        reader: what turned features into classes: `kNN`, `linear`, `fine-tuned`, `ridge`,
            `random forest`, or nothing.
        floor: whether a model has to beat it.
        folds: every fold's score.
        confusion: (K, K) counts, true class × predicted class, summed over folds.
    """

    name: str
    reader: str
    floor: bool
    folds: tuple[FoldScore, ...]
    confusion: list[list[int]]

    @property
    def macro_f1(self) -> float:
        """Mean over folds."""
        return fmean(fold.macro_f1 for fold in self.folds)

    @property
    def oa(self) -> float:
        """Mean over folds."""
        return fmean(fold.oa for fold in self.folds)

    @property
    def title(self) -> str:
        """Name and reader: `pretrained, linear`."""
        return ", ".join(filter(None, (self.name, self.reader)))


class Scores(BaseModel, frozen=True):
    """Scores beside their floors, and how they were made.

    Args:
        task: what was done.
        store: path of the labelled planar store.
        unit: what one sample is; a pixel keeps its region's label where it has none of its own.
        classes: the judged classes, in the order of `Row.confusion`.
        split: how samples were kept apart, in words: folds, block size, gap, what fell into the gap.
        labels: how many of the training labels were used: `all`, `10 %`, `5 shots per class`.
        seed: of splits, label subsets and weights.
        rows: models first, then floors.
        seconds: that it all took.
        notes: what else a reader must know, a sentence each.
    """

    task: Literal["probe", "finetune"]
    store: str
    unit: Literal["region", "pixel"]
    classes: tuple[LabelClass, ...]
    split: str
    labels: str
    seed: int
    rows: tuple[Row, ...]
    seconds: float
    notes: tuple[str, ...] = ()


class Comparison(NamedTuple):
    """A model against a floor, fold by fold; differences below `TIE` are ties.

    Args:
        difference: mean over folds of macro-F1, model minus floor.
    """

    wins: int
    ties: int
    losses: int
    difference: float


def class_names(classes: Sequence[LabelClass]) -> tuple[str, ...]:
    """Names of classes; a name that two of them share gets the code behind it."""
    names = [one.name for one in classes]
    return tuple(
        f"{one.name} ({one.code})" if names.count(one.name) > 1 else one.name for one in classes
    )


def judge(
    true: NDArray[Any], predicted: NDArray[Any], classes: Sequence[LabelClass], *, fold: int, train: int
) -> tuple[FoldScore, NDArray[np.int64]]:
    """The score of one fold and its confusion matrix.

    Args:
        true: (N,) labels 0 … K-1 of the test samples, N ≥ 1.
        predicted: (N,) labels 0 … K-1.
        classes: the K classes.
        fold: its number.
        train: labelled samples that were trained on.

    Returns:
        The score, and (K, K) int64 counts, true × predicted.
    """
    confusion = confusion_matrix(true, predicted, len(classes))
    f1 = class_f1(confusion)
    names = class_names(classes)
    score = FoldScore(
        fold=fold,
        macro_f1=float(np.nanmean(f1)),
        oa=float(np.trace(confusion) / confusion.sum()),
        f1={name: float(value) for name, value in zip(names, f1, strict=True) if not np.isnan(value)},
        train=train,
        test=len(true),
    )
    return score, confusion


def compare(model: Row, floor: Row) -> Comparison:
    """A model against a floor on the folds that both were judged on."""
    below = {fold.fold: fold.macro_f1 for fold in floor.folds}
    differences = [fold.macro_f1 - below[fold.fold] for fold in model.folds if fold.fold in below]
    wins = sum(difference >= TIE for difference in differences)
    losses = sum(difference <= -TIE for difference in differences)
    return Comparison(wins, len(differences) - wins - losses, losses, fmean(differences))


def opponent(rows: Sequence[Row], floor: Row) -> Row | None:
    """The model row that a floor is held against: the one with the same reader, else the best."""
    models = [row for row in rows if not row.floor]
    same = [row for row in models if row.reader == floor.reader]
    return max(same or models, key=lambda row: row.macro_f1, default=None)


def save_scores(scores: Scores, folder: Path) -> None:
    """Write `scores.json` into a run folder.

    Raises:
        OutputNotWritable: no permission, or the disk is full.
    """
    with writing_to(folder):
        write_atomically(folder / SCORES, scores.model_dump_json(indent=1).encode())


def verdict(scores: Scores) -> str:
    """In a sentence, which floors the best model row does not beat on average."""
    models = [row for row in scores.rows if not row.floor]
    floors = [row for row in scores.rows if row.floor]
    if not models or not floors:
        return "No model was judged." if not models else "No floor was made."
    best = max(models, key=lambda row: row.macro_f1)
    unbeaten = [row for row in floors if compare(best, row).difference < TIE]
    if not unbeaten:
        return f"{_capital(best.title)} is above every floor on average."
    listed = "; ".join(f"{row.title} {row.macro_f1:.3f}" for row in unbeaten)
    return f"{_capital(best.title)} ({best.macro_f1:.3f}) does not beat: {listed}."


def table(scores: Scores) -> str:
    """The scores as text: models and floors together, mean ± standard deviation over folds.

    The last column holds each floor against the model row with the same reader (else the best one):
    folds that the model won, tied, lost.
    """
    head = ("", "reader", "macro-F1", "OA", "model won-tied-lost")
    lines = [head, *(_line(scores.rows, row) for row in scores.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    body = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    ]
    folds = scores.rows[0].folds if scores.rows else ()
    samples = f"{sum(fold.test for fold in folds)} {scores.unit}s tested"
    title = f"{scores.task} of {scores.store}: {samples}, {len(scores.classes)} classes"
    facts = [
        f"classes: {', '.join(class_names(scores.classes))}",
        f"split:   {scores.split}",
        f"labels:  {scores.labels}; seed {scores.seed}; {scores.seconds:.0f} s",
    ]
    facts += [f"note:    {note}" for note in scores.notes]
    return "\n".join([title, *facts, "", *(line.rstrip() for line in body), "", verdict(scores)])


def _line(rows: Sequence[Row], row: Row) -> tuple[str, ...]:
    against = opponent(rows, row) if row.floor else None
    record = "" if against is None else "{}-{}-{}".format(*compare(against, row)[:3])
    return (
        row.name + (" (floor)" if row.floor else ""),
        row.reader,
        _spread([fold.macro_f1 for fold in row.folds]),
        _spread([fold.oa for fold in row.folds]),
        record,
    )


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    mean = f"{fmean(values):.3f}"
    return f"{mean} ± {stdev(values):.3f}" if len(values) > 1 else mean


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

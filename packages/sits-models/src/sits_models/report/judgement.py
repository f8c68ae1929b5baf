"""What scores say, as tables: models beside floors, classes, whom they are taken for, runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np

from sits_models.bench.metrics import class_f1
from sits_models.bench.scores import Row, Scores, class_names, compare, opponent
from sits_models.report.findings import Finding, Kind, capital, findings, signed


@dataclass(frozen=True)
class Line:
    """One row of the table.

    Args:
        name, reader: of the model or floor.
        floor: whether it is one.
        best: whether it is the best of the models.
        macro_f1, oa: mean over folds, 0 to 1.
        spread: standard deviation of macro-F1 over folds; None with one fold.
        folds: macro-F1 of each.
        record: of a floor, folds that the model with the same reader won, tied and lost.
    """

    name: str
    reader: str
    floor: bool
    best: bool
    macro_f1: float
    oa: float
    spread: float | None
    folds: tuple[float, ...]
    record: str


@dataclass(frozen=True)
class ClassLine:
    """F1 of one class, over the test samples of all folds; None where there were none.

    Args:
        name, colour: of the class.
        samples: that were tested.
        model, floor: F1 of the best model and of the best floor, 0 to 1.
    """

    name: str
    colour: str
    samples: int
    model: float | None
    floor: float | None


@dataclass(frozen=True)
class Confusion:
    """Whom a class was taken for.

    Args:
        title: of the row that is shown.
        names: of the classes.
        counts: (true, predicted).
        share: of each true class's samples, 0 to 1.
    """

    title: str
    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    share: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Judgement:
    """One `scores.json`, ready to be shown.

    Args:
        scores: it.
        best: of the models; None where only floors were judged.
        floor: the best of the floors.
        lines: models and floors together, best first.
        findings: in words.
        classes: the most frequent first.
        confusion: of the best model, else of the best floor.
        tested: samples over all folds.
    """

    scores: Scores
    best: Row | None
    floor: Row | None
    lines: tuple[Line, ...]
    findings: tuple[Finding, ...]
    classes: tuple[ClassLine, ...]
    confusion: Confusion
    tested: int


@dataclass(frozen=True)
class Side:
    """One run in the table of several.

    Args:
        name: of the run.
        about: what was judged on what.
        model, floor: its best, and their macro-F1.
        difference: of the two, signed.
        kind: of its first finding.
    """

    name: str
    about: str
    model: str
    macro_f1: float
    floor: str
    floor_f1: float
    difference: str
    kind: Kind


@dataclass(frozen=True)
class Sides:
    """Several runs side by side, best first.

    Args:
        lines: one a run.
        alike: whether all were judged on the same samples and splits with as many labels.
    """

    lines: tuple[Side, ...]
    alike: bool


def judge(scores: Scores) -> Judgement | None:
    """Prepare scores; None where no row has a fold."""
    rows = [row for row in scores.rows if row.folds]
    if not rows:
        return None
    best, floor = (
        max((row for row in rows if row.floor == wanted), key=lambda row: row.macro_f1, default=None)
        for wanted in (False, True)
    )
    shown = best or floor or rows[0]
    return Judgement(
        scores=scores,
        best=best,
        floor=floor,
        lines=tuple(
            _line(rows, row, best) for row in sorted(rows, key=lambda row: row.macro_f1, reverse=True)
        ),
        findings=(
            *findings(rows, best),
            *(Finding("note", f"{capital(note.rstrip('.'))}.") for note in scores.notes),
        ),
        classes=_classes(scores, best, floor),
        confusion=_confusion(scores, shown),
        tested=sum(fold.test for fold in shown.folds),
    )


def side_by_side(judgements: Sequence[tuple[str, Judgement]]) -> Sides | None:
    """The runs that have a model and a floor; None with fewer than two."""
    lines = [
        Side(
            name=name,
            about=f"{one.scores.task} of {one.scores.store.rstrip('/').rpartition('/')[2]}",
            model=one.best.title,
            macro_f1=one.best.macro_f1,
            floor=one.floor.title,
            floor_f1=one.floor.macro_f1,
            difference=signed(one.best.macro_f1 - one.floor.macro_f1),
            kind=one.findings[0].kind,
        )
        for name, one in judgements
        if one.best and one.floor
    ]
    ways = {
        (one.scores.store, one.scores.unit, one.scores.split, one.scores.labels, one.scores.seed)
        for _, one in judgements
        if one.best and one.floor
    }
    if len(lines) < 2:
        return None
    return Sides(tuple(sorted(lines, key=lambda line: -line.macro_f1)), alike=len(ways) == 1)


def _line(rows: Sequence[Row], row: Row, best: Row | None) -> Line:
    values = tuple(fold.macro_f1 for fold in row.folds)
    against = opponent(rows, row) if row.floor else None
    record = "" if against is None else "–".join(map(str, compare(against, row)[:3]))
    return Line(
        name=row.name,
        reader=row.reader,
        floor=row.floor,
        best=row is best,
        macro_f1=fmean(values),
        oa=row.oa,
        spread=stdev(values) if len(values) > 1 else None,
        folds=values,
        record=record,
    )


def _classes(scores: Scores, best: Row | None, floor: Row | None) -> tuple[ClassLine, ...]:
    def f1(row: Row | None) -> list[float | None]:
        if row is None:
            return [None] * len(scores.classes)
        return [None if np.isnan(value) else float(value) for value in class_f1(np.array(row.confusion))]

    counted = next(row for row in (best, floor, *scores.rows) if row is not None)
    samples = np.array(counted.confusion).sum(1).tolist()
    lines = (
        ClassLine(name, one.colour, count, model, below)
        for name, one, count, model, below in zip(
            class_names(scores.classes), scores.classes, samples, f1(best), f1(floor), strict=True
        )
    )
    return tuple(sorted(lines, key=lambda line: -line.samples))


def _confusion(scores: Scores, row: Row) -> Confusion:
    counts = np.array(row.confusion)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    return Confusion(
        title=row.title,
        names=class_names(scores.classes),
        counts=tuple(map(tuple, counts.tolist())),
        share=tuple(map(tuple, share.tolist())),
    )

"""What scores say: the table, and in words whether a model beats its floors. Null results stay."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

import numpy as np

from sits_models.bench.scores import TIE, Row, Scores, class_f1, class_names, compare, opponent

Kind = Literal["above", "level", "below", "note"]


@dataclass(frozen=True)
class Finding:
    """A sentence, and which way it points."""

    kind: Kind
    text: str


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
            *_findings(rows, best),
            *(Finding("note", f"{_capital(note)}.") for note in scores.notes),
        ),
        classes=_classes(scores, best, floor),
        confusion=_confusion(scores, shown),
        tested=sum(fold.test for fold in shown.folds),
    )


def signed(value: float) -> str:
    """A difference with its sign: `+0.051`, `−0.020`."""
    return f"{value:+.3f}".replace("-", "−")


def _findings(rows: Sequence[Row], best: Row | None) -> list[Finding]:
    floors = sorted((row for row in rows if row.floor), key=lambda row: row.macro_f1, reverse=True)
    if best is None:
        return [Finding("note", "Only floors were judged, no model.")]
    if not floors:
        return [Finding("note", "No floor was judged beside the model, so its scores stand alone.")]
    found = [_against(best, floor) for floor in floors]
    beaten = [finding for finding in found if finding.kind == "above"]
    if len(beaten) == len(floors):
        tail = f" All {len(floors)} floors are below it." if len(floors) > 1 else ""
        told = [Finding("above", found[0].text + tail)]
    else:
        told = [finding for finding in found if finding.kind != "above"]
        told.append(Finding("note", f"{len(beaten)} of {len(floors)} floors are below it."))
    told += _training(rows, best)
    if len(best.folds) == 1:
        told.append(
            Finding(
                "note", "One split only: how much the scores vary with the choice of land is unknown."
            )
        )
    return told


def _against(model: Row, floor: Row) -> Finding:
    """The best model and one floor."""
    found = compare(model, floor)
    pair = f"{_capital(model.title)} ({model.macro_f1:.3f})", f"{floor.title} ({floor.macro_f1:.3f})"
    gain = f"{signed(found.difference)} macro-F1"
    folds = len(model.folds)
    if abs(found.difference) < TIE:
        return Finding(
            "level",
            f"{pair[0]} is level with the floor {pair[1]}: {gain}, less than the {TIE} that counts as a "
            "difference. A null result: over this floor nothing is gained.",
        )
    if found.difference < 0:
        return Finding(
            "below",
            f"{pair[0]} is below the floor {pair[1]}: {gain}, worse in {found.losses} of {folds} folds. "
            "A null result: this floor costs less and does better.",
        )
    chance = ""
    if folds > 1 and found.difference < _spread_of_difference(model, floor):
        chance = " That is less than it varies from fold to fold, so it may be chance."
    return Finding(
        "above",
        f"{pair[0]} is above the floor {pair[1]}: {gain}, "
        f"better in {found.wins} of {folds} folds.{chance}",
    )


def _training(rows: Sequence[Row], best: Row) -> list[Finding]:
    """What training has added to the same network with random weights."""
    names = {"random-init", "from scratch"}
    twins = [row for row in rows if row.name in names and row is not best and row.name != best.name]
    same = next((row for row in twins if row.reader == best.reader), None)
    if same is None and not (same := next((row for row in twins if row.name == "from scratch"), None)):
        return []
    found = compare(best, same)
    what = "pretraining" if same.name == "from scratch" else "training"
    if found.difference >= TIE:
        text = (
            f"Against the same network {_born(same)}, {what} adds {signed(found.difference)} macro-F1."
        )
        return [Finding("above", text)]
    gain = signed(found.difference)
    text = f"Against the same network {_born(same)}, {what} adds nothing ({gain} macro-F1)."
    return [Finding("below" if found.difference <= -TIE else "level", text)]


def _born(row: Row) -> str:
    return "trained from scratch" if row.name == "from scratch" else "with random weights"


def _spread_of_difference(model: Row, floor: Row) -> float:
    below = {fold.fold: fold.macro_f1 for fold in floor.folds}
    pairs = [fold.macro_f1 - below[fold.fold] for fold in model.folds if fold.fold in below]
    return stdev(pairs) if len(pairs) > 1 else 0.0


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


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

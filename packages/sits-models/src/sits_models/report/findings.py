"""What scores say in words: whether a model beats its floors. Null results stay."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import Literal

from sits_models.bench.scores import TIE, Row, compare

Kind = Literal["above", "level", "below", "note"]

_NULL_RESULT = {
    "level": "A null result: over this floor nothing is gained.",
    "below": "A null result: this floor costs less and does better.",
}


@dataclass(frozen=True)
class Finding:
    """A sentence, and which way it points."""

    kind: Kind
    text: str


def signed(value: float) -> str:
    """A difference with its sign: `+0.051`, `−0.020`."""
    return f"{value:+.3f}".replace("-", "−")


def findings(rows: Sequence[Row], best: Row | None) -> list[Finding]:
    """Whether the best model beats its floors, a sentence each; the first is the result.

    Args:
        rows: models and floors.
        best: of the models; None where only floors were judged.
    """
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
        first, *others = [finding for finding in found if finding.kind != "above"]
        told = [Finding(first.kind, f"{first.text} {_NULL_RESULT[first.kind]}"), *others]
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
    pair = f"{capital(model.title)} ({model.macro_f1:.3f})", f"{floor.title} ({floor.macro_f1:.3f})"
    gain = f"{signed(found.difference)} macro-F1"
    folds = len(model.folds)
    if abs(found.difference) < TIE:
        return Finding(
            "level",
            f"{pair[0]} is level with the floor {pair[1]}: {gain}, less than the {TIE} that counts as a "
            "difference.",
        )
    if found.difference < 0:
        return Finding(
            "below",
            f"{pair[0]} is below the floor {pair[1]}: {gain}, worse in {found.losses} of {folds} folds.",
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


def capital(text: str) -> str:
    """A text that begins a sentence."""
    return text[:1].upper() + text[1:]

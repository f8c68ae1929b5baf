"""From cells to rows: figures with intervals, and how far a model is above each floor."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sits_models.bench.cells import Cell
from sits_models.bench.intervals import Interval, difference, interval, sums_by_block
from sits_models.bench.metrics import (
    calibration_counts,
    calibration_error,
    change_f1,
    kappa,
    mean_f1,
    mean_iou,
    overall_accuracy,
)
from sits_models.bench.rows import BenchRow, Span
from sits_models.judge.work import Task

FIGURES: Mapping[str, Callable[[Any], Any]] = {
    "macro_f1": mean_f1,
    "oa": overall_accuracy,
    "miou": mean_iou,
}
"""Those that every row has; all lie between 0 and 1."""


def make_rows(
    cells: Sequence[tuple[Task, Cell]],
    *,
    classes: Mapping[str, int],
    changes: bool,
    draws: int,
    level: float,
) -> list[BenchRow]:
    """All rows whose cells are there.

    Args:
        cells: filled ones.
        classes: how many each store has.
        changes: whether models name what changed.
        draws: of the bootstrap.
        level: of intervals.
    """
    found: dict[tuple[str, str, str, str], list[tuple[Task, Cell]]] = {}
    for task, cell in cells:
        found.setdefault(task.key.row, []).append((task, cell))
    sums = {row: _sums(pairs, classes[row[0]]) for row, pairs in found.items()}
    rows = []
    for row, pairs in found.items():
        store, entry, reader, budget = row
        task, mine = pairs[0][0], sums[row]
        settings: dict[str, Any] = {"seed": 0, "draws": draws, "level": level}
        figures = {name: Span.of(interval(mine, metric, **settings)) for name, metric in FIGURES.items()}
        floors = [
            (other, ", ".join(filter(None, other[1:3])))
            for other, (first, *_) in found.items()
            if first[0].floor and (other[0], other[3]) == (store, budget) and not task.floor
            and len(sums[other]) == len(mine)
        ]  # fmt: skip
        rows.append(
            BenchRow(
                store=store,
                entry=entry,
                reader=reader,
                budget=budget,
                floor=task.floor,
                seeds=len(pairs),
                samples=len(pairs[0][1].true),
                blocks=mine.shape[1],
                **figures,
                kappa=_known(interval(mine, kappa, least=-1.0, **settings)),
                change_f1=_known(interval(mine, change_f1, **settings)) if changes else None,
                ece=_ece(pairs, **settings),
                by_seed=tuple(mean_f1(mine.sum(1)).tolist()),
                above={
                    name: Span.of(difference(mine, sums[other], mean_f1, **settings))
                    for other, name in floors
                },
                seconds=round(sum(float(cell.seconds) for _, cell in pairs), 1),
                cells=tuple(one.key.file for one, _ in pairs),
            )
        )
    return rows


def as_text(rows: Sequence[BenchRow], notes: Sequence[str]) -> str:
    """The table for people, in Markdown; models first."""
    change = ["change F1"] if any(row.change_f1 for row in rows) else []
    head = ["store", "budget", "model", *change, "macro-F1", "OA", "mIoU", "kappa", "ECE", "seeds",
            "not above"]  # fmt: skip
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    for row in sorted(rows, key=lambda one: (one.store, one.budget, one.floor, -one.macro_f1.value)):
        cells = (
            Path(row.store).stem,
            row.budget,
            row.title + (" (floor)" if row.floor else ""),
            *([_text(row.change_f1)] if change else []),
            *map(_text, (row.macro_f1, row.oa, row.miou, row.kappa, row.ece)),
            f"{min(row.by_seed):.3f} to {max(row.by_seed):.3f}",
            "" if row.floor else "; ".join(row.unbeaten) or "none",
        )
        lines.append(" | ".join(cells))
    text = "\n".join(f"| {line} |" for line in lines)
    return "\n\n".join([text, *(f"Note: {note}." for note in notes)])


def _known(one: Interval) -> Span | None:
    return None if np.isnan(one.value) else Span.of(one)


def _text(span: Span | None) -> str:
    return "-" if span is None else str(span)


def _sums(pairs: Sequence[tuple[Task, Cell]], classes: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """(S, G, K, K) of a row."""
    count = 1 + max(int(cell.block.max()) for _, cell in pairs)
    each = [sums_by_block(cell.block, cell.true, cell.named, classes) for _, cell in pairs]
    padded = [np.pad(one, ((0, count - len(one)), (0, 0), (0, 0))) for one in each]
    stacked = np.stack(padded)
    return stacked[:, stacked.any((0, 2, 3))]  # blocks without a test sample are none


def _ece(pairs: Sequence[tuple[Task, Cell]], **settings: Any) -> Span | None:
    if not pairs[0][1].chances.shape[1]:
        return None
    count = 1 + max(int(cell.block.max()) for _, cell in pairs)
    sums = []
    for _, cell in pairs:
        chances = cell.chances.astype(np.float32)
        parts = [calibration_counts(cell.true[of], chances[of]) for of in
                 (cell.block == block for block in range(count))]  # fmt: skip
        sums.append(np.stack(parts))
    stacked = np.stack(sums)
    return Span.of(interval(stacked[:, stacked.any((0, 2, 3))], calibration_error, **settings))

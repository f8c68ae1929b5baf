"""Benches as tables and figures: models beside floors, with intervals, calibration, errors and cost."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import matplotlib
import matplotlib.style
import numpy as np
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pydantic import ValidationError

from sits_data.errors import SitsDataError
from sits_data.plot.page import ACCENT, QUIET, RULE
from sits_data.store import PlanarStore, open_store
from sits_models.bench.cells import Cell, load_cell
from sits_models.bench.metrics import BINS, calibration_counts
from sits_models.bench.rows import BenchRow
from sits_models.errors import NotARun
from sits_models.report.cards import duration
from sits_models.report.curves import STYLE, for_page
from sits_models.report.errors_on_land import wrong_on_land
from sits_models.report.findings import Finding
from sits_models.report.maps import Picture

BENCH: Final = "bench.json"
_CELLS = "cells"


@dataclass(frozen=True)
class BenchLine:
    """One row of a table.

    Args:
        row: its figures.
        cost: of training and naming, one seed, in words.
    """

    row: BenchRow
    cost: str


@dataclass(frozen=True)
class Table:
    """One store under one budget.

    Args:
        store, budget: which.
        seeds, samples, blocks: how much was tested.
        lines: models, best first, then floors, best first.
        findings: what they say, in words.
        best_floor: macro-F1 of the best floor.
        changes: whether models name what changed.
    """

    store: str
    budget: str
    seeds: int
    samples: int
    blocks: int
    lines: tuple[BenchLine, ...]
    findings: tuple[Finding, ...]
    best_floor: float | None
    changes: bool


@dataclass(frozen=True)
class Compared:
    """A bench, ready to be shown.

    Args:
        name: of its folder.
        tables: of each store and budget.
        budgets: macro-F1 against labels, one figure a store, where there are several budgets.
        calibration: how far probabilities can be believed, one figure a store.
        errors: where the best model and the best floor are wrong, of each store that is still there.
        notes: of the bench.
        missing: what is left out, and why.
    """

    name: str
    tables: tuple[Table, ...]
    budgets: tuple[tuple[str, Markup], ...]
    calibration: tuple[tuple[str, Markup], ...]
    errors: tuple[tuple[str, tuple[Picture, ...]], ...]
    notes: tuple[str, ...]
    missing: tuple[str, ...]


def is_bench(folder: Path) -> bool:
    """Whether a folder is what `sits-models bench` wrote."""
    return (folder / BENCH).is_file()


def compare_bench(folder: Path) -> Compared:
    """Read a bench.

    Raises:
        NotARun: it is damaged.
    """
    rows, notes, unit = _read(folder)
    tables, missing = [], []
    budgets, calibration, errors = [], [], []
    for store in dict.fromkeys(row.store for row in rows):
        name, mine = Path(store).name, [row for row in rows if row.store == store]
        known = list(dict.fromkeys(row.budget for row in mine))
        tables += [_table([row for row in mine if row.budget == one]) for one in known]
        if len(known) > 1:
            budgets.append((name, _by_budget(mine, known, key=f"{folder.name} {name}")))
        last = [row for row in mine if row.budget == known[-1]]
        model, floor = _best(last, floor=False), _best(last, floor=True)
        sure = [one for one in (model, _best([row for row in last if row.ece], floor=True)) if one]
        sure = [one for one in sure if one.ece is not None]
        if sure:
            figure = _reliability(folder, sure, key=f"{folder.name} {name}")
            calibration.append((f"{name}, {known[-1]}", figure))
        try:
            opened = open_store(store)
        except SitsDataError:
            missing.append(f"where models are wrong on {name}: the store is not where it was")
            continue
        shown = [one for one in (model, floor) if one is not None]
        errors.append((f"{name}, {known[-1]}", tuple(_errors(folder, opened, shown, unit))))
    return Compared(
        folder.resolve().name,
        tuple(tables),
        tuple(budgets),
        tuple(calibration),
        tuple(errors),
        tuple(notes),
        tuple(missing),
    )


def _read(folder: Path) -> tuple[list[BenchRow], list[str], Literal["region", "pixel"] | None]:
    file = folder / BENCH
    try:
        told = json.loads(file.read_bytes())
        rows = [BenchRow.model_validate(row) for row in told["rows"]]
        return rows, [str(one) for one in told["notes"]], told["config"]["unit"]
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        reason = " ".join(str(error).split())
        raise NotARun(
            f"{file} must be what this version writes, it cannot be read ({reason}); run sits-models "
            "bench again"
        ) from error


def _best(rows: Sequence[BenchRow], *, floor: bool) -> BenchRow | None:
    mine = [row for row in rows if row.floor == floor]
    return max(mine, key=lambda row: row.macro_f1.value, default=None)


def _table(rows: Sequence[BenchRow]) -> Table:
    ranked = sorted(rows, key=lambda row: (row.floor, -row.macro_f1.value))
    floor = _best(rows, floor=True)
    return Table(
        store=Path(rows[0].store).name,
        budget=rows[0].budget,
        seeds=max(row.seeds for row in rows),
        samples=rows[0].samples,
        blocks=rows[0].blocks,
        lines=tuple(BenchLine(row, duration(row.seconds / row.seeds)) for row in ranked),
        findings=tuple(_finding(row) for row in ranked if not row.floor),
        best_floor=floor.macro_f1.value if floor else None,
        changes=any(row.change_f1 for row in rows),
    )


def _finding(row: BenchRow) -> Finding:
    """Whether a model is above every floor; a difference whose interval holds 0 is none."""
    text, left = row.title, row.unbeaten
    if not row.above:
        return Finding("note", f"{text} stands alone: no floor was judged on the same blocks.")
    one, *more = row.above
    floors = f"all {len(row.above)} floors" if more else f"its floor, {one}"
    if not left:
        return Finding("above", f"{text} is above {floors}.")
    worse = [name for name in left if (high := row.above[name].high) is not None and high < 0]
    level = [name for name in left if name not in worse]
    parts = [f"{text} is above {len(row.above) - len(left)} of {len(row.above)} floors"]
    parts += [f"below {_listed(worse)}"] if worse else []
    parts += [f"level with {_listed(level)}, as the interval of the difference holds 0"] if level else []
    return Finding("below" if worse else "level", f"{', '.join(parts)}. A null result.")


def _listed(names: Sequence[str]) -> str:
    """Titles, which have commas themselves."""
    return " and ".join(f"“{name}”" for name in names)


def _by_budget(rows: Sequence[BenchRow], budgets: Sequence[str], *, key: str) -> Markup:
    """Macro-F1 of each model, and of each floor in grey, under every budget."""
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(4.6, 4.0), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        best = _best(rows, floor=False)
        titles = sorted(dict.fromkeys((row.floor, row.title) for row in rows))
        for number, (floor, title) in enumerate(titles, start=1):
            found = {row.budget: row.macro_f1 for row in rows if row.title == title}
            place, spans = [budgets.index(one) for one in found], list(found.values())
            chief = best is not None and title == best.title
            colour = QUIET if floor else ACCENT if chief else f"C{number}"
            axes.plot(
                place, [one.value for one in spans], color=colour, marker="o", ms=4,
                lw=1 if floor else 2, ls=(0, (4, 3)) if floor else "-", label=None if floor else title,
            )  # fmt: skip
            if not floor:
                low = [one.value if one.low is None else one.low for one in spans]
                high = [one.value if one.high is None else one.high for one in spans]
                axes.fill_between(place, low, high, color=colour, alpha=0.15, lw=0)
        axes.set_xticks(range(len(budgets)), budgets)
        axes.set_ylim(0, 1)
        axes.set_ylabel("macro-F1")
        axes.legend(frameon=False, labelcolor=QUIET, fontsize=9.5, loc="upper left")
        return _svg(figure, f"{key} budgets")


def _reliability(folder: Path, rows: Sequence[BenchRow], *, key: str) -> Markup:
    """The share of right names against the probability that the model gave, in bins of equal width."""
    with matplotlib.style.context(["default", STYLE | {"axes.grid.axis": "both"}]):
        figure = Figure(figsize=(4.6, 4.0), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=RULE, lw=1, ls=(0, (4, 3)))
        for row in rows:
            counts = np.zeros((BINS, 3))
            for cell in _cells(folder, row):
                counts += calibration_counts(cell.true, cell.chances.astype(np.float32))
            held = counts[:, 0] > 0
            samples, right, sure = counts[held].T
            colour = QUIET if row.floor else ACCENT
            axes.plot(sure / samples, right / samples, color=colour, lw=1.2, label=_with_ece(row))
            size = 12 + 200 * samples / samples.sum()
            axes.scatter(sure / samples, right / samples, s=size, color=colour, alpha=0.7, lw=0)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.set_xlabel("probability of the named class")
        axes.set_ylabel("share that is right")
        axes.tick_params(length=0)
        # Above the axes, as curves may end anywhere in them.
        axes.legend(
            frameon=False, labelcolor=QUIET, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1),
            borderaxespad=0.2,
        )  # fmt: skip
        return _svg(figure, f"{key} reliability")


def _with_ece(row: BenchRow) -> str:
    return f"{row.title}: ECE {row.ece}"


def _svg(figure: Figure, key: str) -> Markup:
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": key}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return for_page(buffer.getvalue().decode())


def _errors(
    folder: Path, store: PlanarStore, rows: Sequence[BenchRow], unit: Literal["region", "pixel"] | None
) -> Iterator[Picture]:
    for row in rows:
        cells = list(_cells(folder, row))
        count = 1 + max(int(cell.sample.max()) for cell in cells)
        wrong, seen = np.zeros((2, count))
        for cell in cells:
            np.add.at(wrong, cell.sample, cell.named != cell.true)
            np.add.at(seen, cell.sample, 1)
        share: NDArray[np.float64] = np.where(seen > 0, wrong / np.maximum(seen, 1), np.nan)
        yield wrong_on_land(store, share, row.title, unit=unit)


def _cells(folder: Path, row: BenchRow) -> Iterator[Cell]:
    for name in row.cells:
        cell = load_cell(folder / _CELLS / Path(name).name)
        if cell is None:
            raise NotARun(
                f"{folder} lacks the cell {name} that {BENCH} names; run sits-models bench again"
            )
        yield cell

"""The judge: every model beside its floors, on the same samples, from several seeds, with intervals.

`bench.json` and `table.md` are made from the cells; a bench that was stopped goes on with those that are
missing, and any row can be made again and compared with what was kept.
"""

import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tqdm import tqdm

from sits_data.output import write_atomically, writing_to
from sits_data.plot.page import ACCENT, QUIET
from sits_models.bench.cells import Cell, load_cell, save_cell
from sits_models.bench.rows import BenchRow
from sits_models.data.stores import open_one
from sits_models.errors import InvalidConfig, NotARun
from sits_models.judge.cells import code_hash
from sits_models.judge.config import BenchConfig, read_config
from sits_models.judge.table import as_text, make_rows
from sits_models.judge.work import Bench, Task, all_tasks, cautions
from sits_models.report.curves import STYLE

__all__ = ["Judged", "judge", "reproduce"]

CELLS, RESULT, TABLE, FIGURE = "cells", "bench.json", "table.md", "table.png"


class Judged(NamedTuple):
    """What a bench found.

    Args:
        out: its folder.
        rows: of the table.
        filled, kept: cells that were worked out now, and before.
        notes: what else a reader must know.
    """

    out: Path
    rows: list[BenchRow]
    filled: int
    kept: int
    notes: list[str]

    @property
    def text(self) -> str:
        """The table."""
        return as_text(self.rows, self.notes)


def judge(config: Path, out: Path, *, device: str | None = None, progress: bool = False) -> Judged:
    """Fill what is missing of a bench, and write its table.

    Args:
        config: YAML, see `BenchConfig`.
        out: folder of the bench; cells that are there and were made by the same settings, code, data and
            weights are kept.
        device: such as `cpu`; None takes a GPU where there is one.
        progress: draw a bar on stderr.

    Raises:
        InvalidConfig: the file is wrong.
        LeakyFolds: training would see what is tested.
        NotACheckpoint, NotAStore, TooFewLabels, CheckpointMismatch: an entry cannot be judged.
        OutputNotWritable: no permission, or the disk is full.
    """
    asked = read_config(config)
    tasks = all_tasks(asked)
    with writing_to(out):
        (out / CELLS).mkdir(parents=True, exist_ok=True)
    bench = Bench(asked, out, device=device)
    cells: list[tuple[Task, Cell]] = []
    kept = 0
    for task in tqdm(tasks, unit="cell", desc="bench", disable=not progress):
        file = out / CELLS / task.key.file
        cell = load_cell(file)
        kept += cell is not None
        if cell is None:
            cell = bench.fill(task)
            with writing_to(out):
                save_cell(cell, file)
        cells.append((task, cell))
    classes = {store: len(open_one(store).manifest.classes) for store in asked.stores}
    rows = make_rows(
        cells, classes=classes, changes=asked.compares_periods, draws=asked.draws, level=asked.level
    )
    notes = cautions(asked)
    judged = Judged(out, rows, len(tasks) - kept, kept, notes)
    _write(judged, asked, data={task.key.store: task.key.made["data"] for task in tasks})
    return judged


def reproduce(config: Path, out: Path, row: str, *, device: str | None = None) -> int:
    """Work a row out again and compare it, sample by sample, with what was kept.

    Args:
        config: of the bench.
        out: its folder.
        row: `ENTRY`, or `ENTRY, READER`, of every store and budget.
        device: see `judge`.

    Returns:
        How many predictions were made again; all are the same.

    Raises:
        InvalidConfig: there is no such row.
        NotARun: the bench has no such cell, or says otherwise.
    """
    asked = read_config(config)
    tasks = [task for task in all_tasks(asked) if row in (task.key.entry, _title(task))]
    if not tasks:
        known = sorted({_title(task) for task in all_tasks(asked)})
        raise InvalidConfig(f"no row is called {row!r}; there are {'; '.join(known)}")
    bench = Bench(asked, out / "reproduced", device=device)
    count = 0
    for task in tasks:
        kept = load_cell(out / CELLS / task.key.file)
        if kept is None:
            raise NotARun(
                f"{out} has no cell {task.key.file}: it was made by other settings, code, data or "
                "weights, or not yet; run sits-models bench first"
            )
        again = bench.fill(task)
        differ = int((kept.named != again.named).sum())
        if not np.array_equal(kept.sample, again.sample) or differ:
            raise NotARun(
                f"{_title(task)} of seed {task.key.seed} under {task.key.budget} names {differ} of "
                f"{len(again.named)} samples otherwise than {out}"
            )
        count += len(again.named)
    return count


def _title(task: Task) -> str:
    return ", ".join(filter(None, (task.key.entry, task.key.reader)))


def _write(judged: Judged, asked: BenchConfig, *, data: dict[str, str]) -> None:
    told = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": code_hash(),
        "data": data,
        "config": asked.model_dump(),
        "notes": judged.notes,
        "rows": [row.model_dump() for row in judged.rows],
    }
    with writing_to(judged.out):
        write_atomically(judged.out / RESULT, (json.dumps(told, indent=1) + "\n").encode())
        write_atomically(judged.out / TABLE, (judged.text + "\n").encode())
        write_atomically(judged.out / FIGURE, _picture(judged.rows, asked.budgets))


def _picture(rows: Sequence[BenchRow], budgets: Sequence[str]) -> bytes:
    """A PNG: macro-F1 of every row with its interval, a panel a store and budget."""
    panels = [
        (store, budget) for store in dict.fromkeys(row.store for row in rows) for budget in budgets
    ]
    shown = {panel: [row for row in rows if (row.store, row.budget) == panel] for panel in panels}
    heights = [0.7 + 0.32 * len(shown[panel]) for panel in panels]
    with matplotlib.style.context(STYLE | {"axes.grid.axis": "x"}):
        figure = Figure(figsize=(8, sum(heights)), layout="constrained")
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for axis, panel in zip(axes, panels, strict=True):
            ordered = sorted(shown[panel], key=lambda row: row.macro_f1.value)
            for place, row in enumerate(ordered):
                span, colour = row.macro_f1, QUIET if row.floor else ACCENT
                if span.low is not None and span.high is not None:
                    axis.plot([span.low, span.high], [place, place], color=colour, lw=2)
                axis.plot(row.by_seed, [place] * row.seeds, "|", color=colour, ms=7, mew=0.8)
                axis.plot(span.value, place, "o", color=colour, ms=6)
            axis.set_yticks(range(len(ordered)), [row.title for row in ordered])
            axis.tick_params(axis="y", labelcolor="#303030", length=0)
            axis.set_ylim(-0.6, len(ordered) - 0.4)
            axis.set_title(f"{Path(panel[0]).stem}, {panel[1]}", loc="left", fontsize=11)
        axes[-1].set_xlabel(
            "macro-F1 with its interval over blocks of the ground; ticks: seeds; grey: floors"
        )
    FigureCanvasAgg(figure)
    figure.savefig(png := io.BytesIO(), format="png", dpi=120)
    return png.getvalue()

"""The top of the page: what it is about and how well that went."""

from collections.abc import Sequence
from dataclasses import dataclass

from sits_models.report.compared import Compared, Table
from sits_models.report.curves import PANELS
from sits_models.report.findings import Finding, signed
from sits_models.report.folder import RunFolder
from sits_models.report.judgement import Judgement


@dataclass(frozen=True)
class Tile:
    """A figure to see first.

    Args:
        value: in a few letters.
        label: what it is.
        detail: whose it is.
        tone: `good`, `null` or nothing.
    """

    value: str
    label: str
    detail: str
    tone: str = ""


def headline(folders: Sequence[RunFolder], judgements: Sequence[Judgement]) -> str:
    """What the page is about."""
    cards = [folder.card for folder in folders if folder.card]
    stores = dict.fromkeys(name for card in cards for name in card.seen[-1:])
    stores |= dict.fromkeys(one.scores.store.rstrip("/").rpartition("/")[2] for one in judgements)
    methods = dict.fromkeys(card.method for card in cards if card.method)
    what = " and ".join(methods) or next((card.backbone for card in cards), "") or folders[0].name
    return f"{what} on {', '.join(stores)}" if stores else what


def lead(judgements: Sequence[tuple[str, Judgement]]) -> Finding:
    """The result in a sentence or two: of several runs, that of the best, by its name."""
    judged = [(name, one) for name, one in judgements if one.best]
    if not judged:
        return Finding(
            "note",
            "Nothing is judged yet; sits-models probe and finetune put what was learned beside floors.",
        )
    name, best = max(judged, key=lambda pair: pair[1].best.macro_f1 if pair[1].best else 0)
    first = best.findings[0]
    return (
        first
        if len(judged) == 1
        else Finding(first.kind, f"Best of {len(judged)}, {name}: {first.text}")
    )


def tiles(folders: Sequence[RunFolder], judgements: Sequence[Judgement]) -> tuple[Tile, ...]:
    """The figures to see first: scores beside their floors, else how training ended."""
    judged = [one for one in judgements if one.best]
    if judged:
        one = max(judged, key=lambda found: found.best.macro_f1 if found.best else 0)
        assert one.best is not None
        folds = len(one.best.folds)
        found = [Tile(f"{one.best.macro_f1:.3f}", "macro-F1 of the best model", one.best.title)]
        if one.floor is not None:
            gain = one.best.macro_f1 - one.floor.macro_f1
            found.append(
                Tile(f"{one.floor.macro_f1:.3f}", "macro-F1 of the best floor", one.floor.title)
            )
            tone = {"above": "good", "note": ""}.get(one.findings[0].kind, "null")
            found.append(Tile(signed(gain), "difference", f"mean of {folds} folds", tone))
        tested = f"{len(one.scores.classes)} classes, {folds} folds"
        return (*found, Tile(f"{one.tested:,}", f"{one.scores.unit}s tested", tested))
    wanted = ("train_loss", "embedding_std", "rankme", "knn_macro_f1")
    titles = {name: panel.title for panel in PANELS for name in panel.names}
    logs = {name: one for folder in folders for name, one in folder.metrics.get("", {}).items()}
    return tuple(
        Tile(f"{logs[name].value[-1]:.3g}", titles[name], f"at step {logs[name].step[-1]:,}")
        for name in wanted
        if name in logs
    )


def bench_lead(benches: Sequence[Compared]) -> Finding:
    """The result of the best model of all tables."""
    table = _best_table(benches)
    if table is None:
        return Finding("note", "Only floors were judged, no model.")
    return table.findings[0]


def bench_tiles(benches: Sequence[Compared]) -> tuple[Tile, ...]:
    """The best model beside the best floor of its table."""
    table = _best_table(benches)
    if table is None:
        return ()
    model = table.lines[0].row
    found = [Tile(f"{model.macro_f1.value:.3f}", "macro-F1 of the best model", model.title)]
    if table.best_floor is not None:
        gain = model.macro_f1.value - table.best_floor
        tone = "good" if table.findings[0].kind == "above" else "null"
        found.append(Tile(f"{table.best_floor:.3f}", "macro-F1 of the best floor", "same blocks"))
        found.append(Tile(signed(gain), "difference", f"mean of {table.seeds} seeds", tone))
    return (*found, Tile(f"{table.samples:,}", "samples tested", f"in {table.blocks} blocks of land"))


def _best_table(benches: Sequence[Compared]) -> Table | None:
    """That of the best model; None where there is none."""
    with_models = [table for one in benches for table in one.tables if table.findings]
    return max(with_models, key=lambda table: table.lines[0].row.macro_f1.value, default=None)

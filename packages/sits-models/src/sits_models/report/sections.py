"""The sections of a report, one function each: values that the template shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from markupsafe import Markup

from sits_models.checkpoint import ModelCard
from sits_models.report.curves import PANELS, draw_curve
from sits_models.report.folder import Arrays, RunFolder
from sits_models.report.judgement import Finding, Judgement, signed
from sits_models.report.pictures import data_url, paint_view

_MOST_VIEWS = 8
_SHOWN_SCENES = 3


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


@dataclass(frozen=True)
class RunLine:
    """How one run was made; texts."""

    name: str
    kind: str
    command: str
    status: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class CardView:
    """What a card says: pairs of term and text, and the normalisation by band."""

    title: str
    model: tuple[tuple[str, str], ...]
    data: tuple[tuple[str, str], ...]
    bands: tuple[tuple[str, float, float], ...]
    percentiles: tuple[float, float]


@dataclass(frozen=True)
class View:
    """One planar view as a picture; `dates` are some rows' days by their place, 0 to 100."""

    title: str
    caption: str
    alt: str
    url: str
    dates: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Curve:
    """One panel of the training curves."""

    title: str
    meaning: str
    last: str
    svg: Markup


@dataclass(frozen=True)
class Training:
    """The curves of one run; `alarm` says that and when embeddings collapsed."""

    name: str
    curves: tuple[Curve, ...]
    alarm: str = ""


def run_line(folder: RunFolder) -> RunLine:
    """How a run was started and how it went."""
    record = folder.record
    if record is None:
        return RunLine(folder.name, "", "", "no record", ())
    facts = {
        "started": _moment(record.started),
        "took": duration(record.seconds)
        + (f", resumed {record.resumed} times" if record.resumed else ""),
        "device": record.device,
        "seed": str(record.seed),
        "software": ", ".join(f"{name} {number}" for name, number in record.versions.items()),
    }
    return RunLine(
        folder.name, record.kind, " ".join(record.command), record.status, tuple(facts.items())
    )


def card_view(name: str, card: ModelCard) -> CardView:
    """What the weights are and what they were trained on."""
    arguments = ", ".join(f"{key} {value}" for key, value in card.backbone_arguments.items())
    length = card.views.get("length")
    model = {
        "method": card.method or "none",
        "backbone": f"{card.backbone} ({arguments})" if arguments else card.backbone,
        "began with": card.parent or "random weights",
        "classes": ", ".join(one.name for one in card.classes),
        "bands": f"{', '.join(card.bands)}: {card.units}",
        "pixels": f"{card.resolution_m} m",
        "mask": card.mask,
        "dates": card.dates,
        "views": f"{length} positions along a curve" if length else "",
        "data sets seen": ", ".join(card.seen),
        "licence of the data": card.licence,
        "sits-models": card.code_version,
    }
    normalisation = card.normalisation
    return CardView(
        title=name,
        model=tuple((term, text) for term, text in model.items() if text),
        data=tuple((str(one.get("store", "store")), _provenance(one)) for one in card.data),
        bands=tuple(zip(normalisation.bands, normalisation.low, normalisation.high, strict=True)),
        percentiles=normalisation.percentiles,
    )


def _provenance(data: Mapping[str, Any]) -> str:
    """Regions, period and sources of a store, in words."""
    sources = data.get("sources")
    sources = sources if isinstance(sources, dict) else {}
    scenes = sources.get("scenes")
    said = [f"{data[name]:,} {name}" for name in ("regions", "dates") if isinstance(data.get(name), int)]
    if data.get("first") and data.get("last"):
        said.append(f"{data['first']} to {data['last']}")
    text = ", ".join(said)
    told = [f"{name} {sources[key]}" for key, name in _SOURCES.items() if sources.get(key)]
    if isinstance(scenes, list) and scenes:
        named = ", ".join(map(str, scenes[:_SHOWN_SCENES]))
        told.append(f"{len(scenes)} scenes: {named}{', …' if len(scenes) > _SHOWN_SCENES else ''}")
    return "; ".join(filter(None, [text, *told]))


_SOURCES = {"path": "cube", "catalog": "catalogue", "collection": "collection", "plan": "plan"}


def planar_views(arrays: Arrays) -> tuple[View, ...]:
    """Pictures of the views that a run's first batch showed, those of a region beside each other."""
    count = len(arrays["image"])
    region = arrays.get("region", np.zeros(count, np.int64))
    number = arrays.get("view", np.arange(count))
    bands = [str(band) for band in arrays["bands"]]
    shown = np.lexsort((number, region))[:_MOST_VIEWS]
    return tuple(
        _view(arrays, int(one), bands, f"Region {region[one]}, view {number[one] + 1}") for one in shown
    )


def _view(arrays: Arrays, number: int, bands: list[str], title: str) -> View:
    dated = np.flatnonzero(arrays["pad_mask"][number])
    image, clear = arrays["image"][number][:, dated], arrays["clear"][number][dated]
    used = np.flatnonzero((image != 0).any(axis=(0, 1)))
    length = int(used[-1]) + 1 if len(used) else 1
    image, clear = image[..., :length], clear[:, :length]
    days = arrays["dates"][number][dated].astype("datetime64[D]").astype(str)
    step = max(1, -(-len(days) // 5))
    caption = f"{len(days)} dates, {length} positions, {clear.mean():.0%} clear"
    return View(
        title=title,
        caption=caption,
        alt=f"{title}: planar image, {caption}, {days[0]} to {days[-1]}" if len(days) else title,
        url=data_url(paint_view(image, clear, bands)),
        dates=tuple((100 * (row + 0.5) / len(days), days[row]) for row in range(0, len(days), step)),
    )


def training(folder: RunFolder) -> Training | None:
    """The curves that a run logged; of a run in folds, those of all folds together."""
    logs = list(folder.metrics.values())
    curves = []
    for panel in PANELS:
        ends = [log[name].value[-1] for log in logs for name in panel.names[:1] if name in log]
        if not any(name in log for log in logs for name in panel.names):
            continue
        last = f"{np.mean(ends):.3g} at the end" if ends else ""
        if len(ends) > 1:
            last += f", mean of {len(ends)} folds"
        curves.append(Curve(panel.title, panel.meaning, last, draw_curve(panel, logs)))
    if not curves:
        return None
    alarms = [
        one.step[one.value > 0] for log in logs for name, one in log.items() if name == "collapsed"
    ]
    steps = [int(steps[0]) for steps in alarms if len(steps)]
    alarm = (
        f"The collapse alarm went off at step {min(steps)}: all regions came to look the same to the "
        "network, so its embeddings are of little use."
        if steps
        else ""
    )
    return Training(folder.name, tuple(curves), alarm)


def headline(folders: Sequence[RunFolder], judgements: Sequence[Judgement]) -> str:
    """What the page is about."""
    cards = [folder.card for folder in folders if folder.card]
    stores = dict.fromkeys(name for card in cards for name in card.seen[-1:])
    stores |= dict.fromkeys(one.scores.store.rstrip("/").rpartition("/")[2] for one in judgements)
    methods = dict.fromkeys(card.method for card in cards if card.method)
    what = " and ".join(methods) or next((card.backbone for card in cards), "") or folders[0].name
    return f"{what} on {', '.join(stores)}" if stores else what


def lead(judgements: Sequence[Judgement]) -> Finding:
    """The result in a sentence or two."""
    judged = [one for one in judgements if one.best]
    if not judged:
        return Finding(
            "note",
            "Nothing has judged these embeddings yet; sits-models probe and finetune put them beside "
            "floors.",
        )
    return max(judged, key=lambda one: one.best.macro_f1 if one.best else 0).findings[0]


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
    logs = {
        name: one for folder in folders for log in folder.metrics.values() for name, one in log.items()
    }
    return tuple(
        Tile(f"{logs[name].value[-1]:.3g}", titles[name], f"at step {logs[name].step[-1]:,}")
        for name in wanted
        if name in logs
    )


def duration(seconds: float) -> str:
    """A time in words: `41 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def _moment(text: str) -> str:
    try:
        return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return text

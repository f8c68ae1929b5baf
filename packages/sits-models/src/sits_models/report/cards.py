"""How runs were made, and the cards of their weights: pairs of term and text."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from sits_models.checkpoint import ModelCard
from sits_models.report.folder import RunFolder

_SHOWN_SCENES = 3
_SOURCES = {"path": "cube", "catalog": "catalogue", "collection": "collection", "plan": "plan"}
_UNFINISHED = {
    "running": "It is still running, or was killed",
    "interrupted": "It was interrupted",
    "failed": "It failed",
}


@dataclass(frozen=True)
class RunLine:
    """How one run was made; texts. `unfinished` says of a run that did not end well what that means."""

    name: str
    kind: str
    command: tuple[str, ...]
    status: str
    unfinished: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class CardView:
    """What a card says: pairs of term and text, and the normalisation by band."""

    title: str
    model: tuple[tuple[str, str], ...]
    data: tuple[tuple[str, str], ...]
    bands: tuple[tuple[str, float, float], ...]
    percentiles: tuple[float, float]


def run_line(folder: RunFolder) -> RunLine:
    """How a run was started and how it went."""
    record = folder.record
    if record is None:
        return RunLine(folder.name, "", (), "no record", "", ())
    facts = {
        "started": _moment(record.started),
        "took": duration(record.seconds)
        + (f", resumed {record.resumed} times" if record.resumed else ""),
        "device": record.device,
        "seed": str(record.seed),
        "software": ", ".join(f"{name} {number}" for name, number in record.versions.items()),
    }
    if record.status == "running":
        del facts["took"]
    unfinished = _UNFINISHED.get(record.status, "")
    return RunLine(
        name=folder.name,
        kind=record.kind,
        command=tuple(map(_shown_word, record.command)),
        status=record.status,
        unfinished=unfinished and f"{unfinished}: what is shown of it is not all that was asked for.",
        facts=tuple(facts.items()),
    )


def card_view(name: str, card: ModelCard) -> CardView:
    """What the weights are and what they were trained on."""
    arguments = ", ".join(f"{key} {value}" for key, value in card.backbone_arguments.items())
    length = card.views.get("length")
    model = {
        "method": card.method or "none",
        "backbone": f"{card.backbone} ({arguments})" if arguments else card.backbone,
        "began with": shown_path(card.parent or "random weights"),
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
        data=tuple((shown_path(str(one.get("store", "store"))), _provenance(one)) for one in card.data),
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
    told = [
        f"{name} {shown_path(str(sources[key]))}" for key, name in _SOURCES.items() if sources.get(key)
    ]
    if isinstance(scenes, list) and scenes:
        named = ", ".join(map(str, scenes[:_SHOWN_SCENES]))
        told.append(f"{len(scenes)} scenes: {named}{', …' if len(scenes) > _SHOWN_SCENES else ''}")
    return "; ".join(filter(None, [text, *told]))


def shown_path(text: str) -> str:
    """A local path by folder and name: who reads a shared page need not know whose machine it was.

    Relative paths, URLs and other texts stay as they are.

    >>> shown_path("/home/ada/land/catalogue/catalog.json")
    '…/catalogue/catalog.json'
    """
    path = PureWindowsPath(text) if "\\" in text else PurePosixPath(text.removeprefix("file://"))
    return f"…/{'/'.join(path.parts[1:][-2:])}" if path.is_absolute() else text


def _shown_word(word: str) -> str:
    """A word of a command as a shell takes it, or `--option=…/folder/name`."""
    option, equals, value = word.rpartition("=") if word.startswith("--") else ("", "", word)
    short = shown_path(value)
    return shlex.quote(word) if short == value else option + equals + short


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

"""The card of what a run has trained."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from lightning.pytorch import LightningModule
from pydantic import JsonValue
from pydantic_core import to_jsonable_python

import sits_models
from sits_data.manifest import LabelClass
from sits_data.store import PlanarStore
from sits_models.checkpoint import ModelCard, read_card
from sits_models.data.datamodule import PlanarDataModule
from sits_models.registry import Made

SENTINEL = "Copernicus Sentinel data: free, full and open (Regulation (EU) 2021/696); name the source"


def card_of(
    module: LightningModule,
    data: PlanarDataModule,
    *,
    method: str | None = None,
    classes: tuple[LabelClass, ...] = (),
) -> ModelCard:
    """What a method or task, and the data that it was trained on, say of the weights.

    Args:
        module: with `hparams` of a `backbone` or a `checkpoint`, and `in_channels`.
        data: after its setup.
        method: the registered name of the method, if it is one.
        classes: that a head names.
    """
    assert data.normalisation is not None, "the datamodule must be set up"
    settings: dict[str, Any] = dict(module.hparams)
    parent = read_card(settings["checkpoint"]) if settings.get("checkpoint") else None
    manifest = data.stores[0].manifest
    made = _made(module, parent)
    trained_on = [store.source for store in data.stores]
    before = parent.seen if parent else ()
    return ModelCard(
        kind="classifier" if classes else "backbone",
        classes=classes,
        method=method or (parent.method if parent else None),
        backbone=made.name,
        backbone_arguments=_arguments(made, manifest.bands),
        bands=manifest.bands,
        resolution_m=manifest.grid.resolution_m,
        mask=manifest.mask,
        normalisation=data.normalisation,
        dates=_dates(data),
        views=_views(module, data),
        data=data_lines(data.stores),
        licence=SENTINEL,
        seen=tuple(dict.fromkeys([*before, *trained_on])),
        code_version=sits_models.__version__,
        parent=str(settings["checkpoint"])
        if parent
        else _of_backbone(module, "starts_from", default=None),
        per_pixel=parent.per_pixel if parent else _of_backbone(module, "per_pixel", default=True),
    )


def _made(module: LightningModule, parent: ModelCard | None) -> Made:
    """How the backbone is made: as the module says, as the checkpoint was, or as was asked for."""
    if isinstance(made := getattr(module, "made", None), Made):
        return made
    settings: dict[str, Any] = dict(module.hparams)
    if parent is not None:
        return Made(parent.backbone, dict(parent.backbone_arguments))
    return Made(settings["backbone"], settings.get("backbone_args") or {})


def _arguments(made: Made, bands: Sequence[str]) -> dict[str, JsonValue]:
    """What makes the backbone again; its weights come with the checkpoint, not from elsewhere."""
    given = {name: False if name == "pretrained" else value for name, value in made.arguments.items()}
    return to_jsonable_python({"in_channels": len(bands), **given})  # type: ignore[no-any-return]


def _of_backbone[T](module: LightningModule, name: str, *, default: T) -> T:
    """What a backbone says of itself, if anything."""
    found: T = getattr(getattr(module, "backbone", None), name, default)
    return found


def _views(module: LightningModule, data: PlanarDataModule) -> dict[str, JsonValue]:
    """Views of a method, or of the datamodule for a task; both say how long a whole one is."""
    views = getattr(module, "views", None) or (data.views,)
    shown = [
        {name: value for name, value in asdict(view).items() if not name.startswith("_")}
        for view in views
    ]
    whole = [one.get("length") or 0 for one in shown]
    return to_jsonable_python({"length": max(whole), "views": shown})  # type: ignore[no-any-return]


def _dates(data: PlanarDataModule) -> str:
    yearly = data.split == "none" if data.years is None else data.years
    period = "a calendar year" if yearly else "the whole series"
    return f"dates of {period}, as they were acquired; nothing is interpolated"


def data_lines(stores: Sequence[PlanarStore]) -> tuple[dict[str, JsonValue], ...]:
    """What a card says of the stores that a model learned from; the parts of a merged one together."""
    named: dict[str, list[PlanarStore]] = {}
    for store in stores:
        named.setdefault(store.source, []).append(store)
    return tuple(_data_line(name, parts) for name, parts in named.items())


def _data_line(name: str, parts: Sequence[PlanarStore]) -> dict[str, JsonValue]:
    days = np.unique(np.concatenate([part.dates for part in parts])).astype("datetime64[D]")
    sources = [part.manifest.cube for part in parts]
    together = {"catalog": _all(sources, "catalog"), "plan": _all(sources, "plan")}
    return {
        "store": name,
        "regions": sum(map(len, parts)),
        "dates": len(days),
        "first": str(days[0]),
        "last": str(days[-1]),
        "sources": dict(sources[0]) if len(parts) == 1 else {"parts": len(parts), **together},
    }


def _all(sources: Sequence[dict[str, JsonValue]], key: str) -> JsonValue:
    return list(dict.fromkeys(str(source[key]) for source in sources if key in source))

"""Run folders for tests of the report: written as the commands write them, with made-up figures."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sits_data.cube import open_raw
from sits_data.manifest import LabelClass
from sits_data.store import open_store
from sits_models.bench.scores import FoldScore, Row, Scores
from sits_models.checkpoint import ModelCard
from sits_models.data.normalisation import Normalisation
from sits_models.geotiff import class_layer, new_cogs, probability_layer
from sits_models.predict.notes import note_map
from sits_models.runs import RunRecord


def write_pretraining(folder: Path, store: Path, *, steps: int = 60) -> Path:
    """A finished SimCLR run: record, card, metrics, views, embeddings."""
    folder.mkdir(parents=True)
    _record(folder, "pretrain", ("sits-models", "pretrain", "--store", str(store), "--method", "simclr"))
    card = _card(store, method="simclr")
    (folder / "card.json").write_text(card.model_dump_json())
    with (folder / "metrics.csv").open("w", newline="") as file:
        rows = csv.DictWriter(
            file, ["epoch", "step", "train_loss", "embedding_std", "rankme", "knn_macro_f1"]
        )
        rows.writeheader()
        for step in range(steps):
            rows.writerow({"epoch": step // 10, "step": step, "train_loss": 3 + 2 * 0.95**step})
            if step % 10 == 9:
                share = (step + 1) / steps
                rows.writerow(
                    {"epoch": step // 10, "step": step, "embedding_std": 0.4 + 0.4 * share,
                     "rankme": 4 + 20 * share, "knn_macro_f1": 0.2 + 0.4 * share}
                )  # fmt: skip
    _arrays(folder, store)
    return folder


def write_scores(folder: Path, store: Path, *, task: str = "probe", gain: float = 0.1) -> Path:
    """A judged run; the model is `gain` above random forest on raw features."""
    folder.mkdir(parents=True)
    words = ("sits-models", task, "--checkpoint", "runs/simclr", "--store", str(store))
    _record(folder, task, words)
    classes = open_store(store).manifest.classes
    model = "pretrained" if task == "probe" else "fine-tuned"
    reader = "linear" if task == "probe" else ""
    rows = (
        _row(model, reader, 0.5 + gain, classes, floor=False),
        _row("pretrained", "kNN", 0.45 + gain, classes, floor=False),
        _row("random-init", "linear", 0.41, classes, floor=True),
        _row("raw features", "ridge", 0.44, classes, floor=True),
        _row("raw features", "random forest", 0.5, classes, floor=True),
        _row("majority class", "", 0.04, classes, floor=True),
    )
    scores = Scores(
        task=task,  # type: ignore[arg-type]
        store=str(store),
        unit="region",
        classes=classes,
        split="5 folds by blocks of 250 m; regions nearer than 50 m to a test region are left out (7)",
        labels="all",
        seed=0,
        rows=rows,
        seconds=12.3,
    )
    (folder / "scores.json").write_text(scores.model_dump_json())
    return folder


def write_classifier_card(folder: Path, store: Path, parent: Path) -> None:
    """The card of a classifier that began with another run."""
    classes = open_store(store).manifest.classes
    card = _card(store, kind="classifier", classes=classes, parent=str(parent), method="simclr")
    (folder / "card.json").write_text(card.model_dump_json())


def write_map(run: Path, out: Path, cube: Path, classes: tuple[LabelClass, ...]) -> Path:
    """A map of stripes on a cube's grid, noted in the run."""
    geobox = open_raw(cube).geobox
    height, width = geobox.shape
    named = (np.arange(width) // 7 % len(classes)).astype(np.uint8)[None].repeat(height, 0)
    named[:5] = 255
    chances = np.full((len(classes), height, width), 0.4 / len(classes), np.float32)
    for index in range(len(classes)):
        chances[index][named == index] += 0.6
    chances[:, named == 255] = np.nan
    prob = out.with_suffix(".prob.tif")
    layers = [class_layer(out, classes, {}), probability_layer(prob, classes, {})]
    with new_cogs(layers, geobox, overwrite=True) as (first, second):
        first.write(named, 1)
        second.write(chances)
    note_map(run, out, cube=cube, classes=classes)
    return out


def _record(folder: Path, kind: str, command: tuple[str, ...]) -> None:
    record = RunRecord(
        kind=kind, command=command, started="2026-01-05T09:30:00+00:00",
        finished="2026-01-05T09:42:10+00:00", status="finished", seed=0, device="2 CPU cores",
        versions={"sits-models": "0.1.0", "torch": "2.9.0"}, seconds=730.0,
    )  # fmt: skip
    (folder / "run.json").write_text(record.model_dump_json())


def _card(store: Path, **other: object) -> ModelCard:
    manifest, dates = open_store(store).manifest, open_store(store).dates.astype("datetime64[D]")
    bands = manifest.bands
    said = {
        "backbone": "planar_vit_nano", "backbone_arguments": {"in_channels": len(bands)}, "bands": bands,
        "resolution_m": 10, "mask": manifest.mask, "views": {"length": 64},
        "normalisation": Normalisation(
            bands=bands, low=(0.02,) * len(bands), high=(0.4,) * len(bands)
        ),
        "dates": "dates of a calendar year, as they were acquired; nothing is interpolated",
        "data": ({
            "store": store.name, "regions": manifest.regions, "dates": len(dates),
            "first": str(dates[0]), "last": str(dates[-1]), "sources": dict(manifest.cube),
        },),
        "licence": "Copernicus Sentinel data: free, full and open", "seen": (store.name,),
        "code_version": "0.1.0",
    }  # fmt: skip
    return ModelCard.model_validate(said | other)


def _arrays(folder: Path, store: Path) -> None:
    opened, draw = open_store(store), np.random.default_rng(0)
    bands, dates = opened.manifest.bands, opened.dates[:12]
    image = np.sin(np.linspace(0, 9, 12))[:, None] * np.cos(np.linspace(0, 20, 64))
    image = np.stack([image * scale for scale in np.linspace(0.3, 1, len(bands))])
    image = (image + draw.normal(0, 0.1, (4, *image.shape))).astype(np.float16)
    clear = draw.random((4, 12, 64)) < 0.9
    clear[:, 3] = False
    real = np.ones((4, 12), bool)
    real[1, 9:] = False
    np.savez(
        folder / "views.npz", image=image, clear=clear, dates=np.tile(dates, (4, 1)), pad_mask=real,
        region=np.array([3, 8, 3, 8]), view=np.array([0, 0, 1, 1]), bands=np.array(bands),
    )  # fmt: skip
    label = np.asarray(opened.labels)
    centres = draw.normal(0, 1, (len(opened.manifest.classes) + 1, 16))
    embedding: NDArray[np.float64] = centres[label] + draw.normal(0, 0.5, (len(label), 16))
    yx = draw.random((len(label), 2)) * 800
    np.savez(
        folder / "embedding.npz", embedding=embedding.astype(np.float32), label=label,
        region=np.arange(len(label)), yx=yx.astype(np.float32),
    )  # fmt: skip


def _row(name: str, reader: str, score: float, classes: tuple[LabelClass, ...], *, floor: bool) -> Row:
    count = len(classes)
    folds = tuple(
        FoldScore(
            fold=fold, macro_f1=score + shift, oa=min(1, score + shift + 0.1),
            f1={one.name: score for one in classes}, train=64, test=16,
        )
        for fold, shift in enumerate((-0.04, -0.01, 0.0, 0.02, 0.03))
    )  # fmt: skip
    confusion = np.full((count, count), 1) + np.diag([round(20 * score)] * count)
    return Row(name=name, reader=reader, floor=floor, folds=folds, confusion=confusion.tolist())

"""Finetune: train a backbone and its head on labels, fold by fold, beside the floors."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from sits_models.bench.design import Design
from sits_models.bench.features import Embedder
from sits_models.bench.floors import random_twin, simple_floors
from sits_models.bench.problem import Fold, Numbers, Problem, pose
from sits_models.bench.scores import Row, Scores, save_scores
from sits_models.checkpoint import ModelCard, check_card, read_card, save_checkpoint
from sits_models.data.datamodule import PlanarDataModule
from sits_models.data.residence import open_table
from sits_models.data.stores import open_stores
from sits_models.errors import InvalidConfig
from sits_models.fit import Config, card_of, make_trainer, parse, train
from sits_models.runs import CONFIG, check_free, new_run
from sits_models.tasks.classification import UNLABELLED, RegionClassification

DEFAULTS = {
    "data.batch_size": 32,
    "data.length": 32,
    "data.dates": 36,
    "trainer.max_steps": 600,
    "trainer.max_epochs": 100,
    "trainer.gradient_clip_val": 1.0,
}
"""What differs from the defaults of data and trainer; found on simulated fields and chips."""

_log = logging.getLogger("sits_models")


def finetune(
    arguments: Sequence[str],
    out: Path,
    *,
    overwrite: bool = False,
    command: Sequence[str] = (),
    progress: bool = False,
) -> Scores:
    """Train on the labels of a store and judge by folds, then train on all folds for `predict`.

    With a checkpoint every fold is trained twice: from the checkpoint, and from random weights under
    the same budget. No training looks at its test samples: there is no early stopping.

    `out` then holds `scores.json`, the classifier and the metrics of its training; those of each
    fold's training are under `folds/`.

    Args:
        arguments: flags of model, data and trainer, see `sits_models.fit.parse`; what `data.unit` and
            `data.gap_m` are when they are not given, `Design` says.
        out: the run folder.
        overwrite: delete a run that is there.
        command: what `run.json` says the user typed; `arguments` by default.
        progress: show bars on stderr.

    Raises:
        InvalidConfig: a setting is unknown, of the wrong type, or refused.
        NotACheckpoint, CheckpointMismatch: the checkpoint cannot be used, or not on this store.
        NotAStore, DamagedStore, InvalidRequest: the data cannot be used, see `PlanarDataModule`.
        TooFewLabels: the store cannot be split as asked.
        RunExists, OutputNotWritable: the run cannot be written there.
        MissingDevice: the accelerator that was asked for is not there.
    """
    began = time.monotonic()
    work = _prepare(arguments, out, progress=progress)
    reads = [str(work.problem.store.path), *([work.checkpoint] if work.checkpoint else [])]
    check_free(out, overwrite=overwrite, resume=False, reads=reads)
    with new_run(
        out,
        kind="finetune",
        command=command or arguments,
        seed=work.problem.design.seed,
        device=str(work.device),
        overwrite=overwrite,
    ):
        work.asked.save(out / CONFIG)
        notes = work.problem.cautions(work.parent) if work.parent else []
        scores = work.problem.scores("finetune", work.rows(out / "folds"), notes=notes, began=began)
        trained = work.train(out, work.problem.final, fold=None, checkpoint=work.checkpoint)
        card = card_of(trained.model, trained.data, classes=trained.data.classes)
        save_checkpoint(out, trained.backbone, card, trained.head)
        save_scores(scores, out)
    return scores


class _Trained(NamedTuple):
    backbone: nn.Module
    head: nn.Module
    model: RegionClassification
    data: PlanarDataModule


@dataclass(frozen=True, eq=False)
class _Work:
    """What all folds share.

    Args:
        asked: settings that make this run again.
        config: those of a fold's training.
        problem: the store, cut into folds.
        checkpoint: that training begins with, or None.
        parent: its card.
        device: that trains.
        progress: show bars.
    """

    asked: Config
    config: Config
    problem: Problem
    checkpoint: str | None
    parent: ModelCard | None
    device: torch.device
    progress: bool

    def rows(self, folder: Path) -> list[Row]:
        """The model, its twin with random weights, and the other floors."""
        frozen = self.config["model.init_args.freeze"]
        reader = "linear layer" if frozen else "fine-tuned"
        random = "random-init" if frozen else "from scratch"
        starts = (
            {random: None} if self.checkpoint is None else {"pretrained": self.checkpoint, random: None}
        )
        rows = []
        for name, checkpoint in starts.items():
            floor = checkpoint is None and self.checkpoint is not None

            def name_test(fold: Fold, name: str = name, checkpoint: str | None = checkpoint) -> Numbers:
                _log.info("fold %d of %d: %s", fold.number, len(self.problem.folds), name)
                place = folder / f"{name.replace(' ', '-')}-{fold.number}"
                trained = self.train(place, fold.train, fold=fold, checkpoint=checkpoint)
                return self.name_samples(trained, fold.test)

            rows.append(self.problem.row(name, reader, floor=floor, name_test=name_test))
        return [*rows, *simple_floors(self.problem)]

    def train(
        self, folder: Path, samples: Numbers, *, fold: Fold | None, checkpoint: str | None
    ) -> _Trained:
        """Train on some samples of a fold, or of all."""
        parts = self.config.instantiate(
            data__fold=None if fold is None else fold.number - 1,
            model__init_args__checkpoint=checkpoint,
        )
        model = parts.model
        assert isinstance(model, RegionClassification)
        if checkpoint is not None and self.parent is not None:
            parts.data.normalisation = self.parent.normalisation
        elif self.parent is not None:
            model.start_from(random_twin(self.parent, seed=self.config["seed"]))
        callbacks = [_PixelLabels(self.problem, samples)] if self.problem.unit == "pixel" else []
        trainer = make_trainer(parts.trainer, folder, callbacks=callbacks, progress=self.progress)
        train(trainer, model, parts.data)
        assert model.backbone is not None
        return _Trained(model.backbone, model.head.cpu(), model, parts.data)

    def name_samples(self, trained: _Trained, samples: Numbers) -> Numbers:
        """The most probable of the judged classes of each sample: (N,) int64 by the store's classes."""
        data = trained.data
        embedder = Embedder(trained.backbone, data.normalisation, data.views.length, device=self.device)
        features = embedder.items(self.problem.table, self.problem.items.chosen(samples))
        with torch.no_grad():
            scores = trained.head(features)[:, self.problem.judged]
        return np.asarray(self.problem.judged[scores.argmax(1).numpy()])


class _PixelLabels(Callback):
    """Lets a datamodule give each pixel the label that it is to be learned from, or none."""

    def __init__(self, problem: Problem, samples: Numbers) -> None:
        self.problem, self.samples = problem, samples

    def setup(self, trainer: Trainer, _: LightningModule, stage: str) -> None:  # noqa: ARG002
        """After the datamodule's, before its loaders are made."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        (table,) = data.tables
        chosen = self.problem.items.chosen(self.samples)
        rows = table.first_row.cpu().numpy()[chosen.regions] + chosen.rows
        label = torch.full((len(table.yx),), UNLABELLED)
        label[rows] = torch.from_numpy(self.problem.labels[self.samples])
        data.tables = [replace(table, pixel_label=label.to(table.device))]
        data.train_regions = [np.unique(chosen.regions)]


def _prepare(arguments: Sequence[str], out: Path, *, progress: bool) -> _Work:
    """Read the settings and pose the problem; what is wrong with either comes up here."""
    config = parse(
        arguments, model=RegionClassification, default=RegionClassification, defaults=DEFAULTS
    )
    stores = open_stores(config["data.root"])
    if len(stores) != 1:
        raise InvalidConfig(
            f"finetune judges one store, got {len(stores)}; name the one with --store FILE.planar"
        )
    (store,) = stores
    if config["data.split"] == "none":
        raise InvalidConfig("finetune needs a split, got none; use blocks, west-east or north-south")
    names = ("unit", "split", "folds", "block_m", "gap_m", "fraction", "shots")
    design = Design.given({name: config[f"data.{name}"] for name in names} | {"seed": config["seed"]})
    checkpoint = config["model.init_args.checkpoint"]
    parent = None if checkpoint is None else read_card(checkpoint)
    if parent is not None:
        manifest = store.manifest
        check_card(parent, bands=manifest.bands, resolution_m=manifest.grid.resolution_m)
    problem = pose(store, open_table(store, resident="never"), design)
    dense, fixed = config["model.init_args.dense"], config["data.fixed"]
    asked = config.replace(
        {
            # Paths as they are from anywhere, and what was chosen here.
            "data.root": str(store.path.resolve()),
            "data.unit": problem.unit,
            "data.split": problem.design.split,
            "data.block_m": problem.splits[0].block_m or None,
            "data.gap_m": problem.design.gap_m,
            "data.length": fixed[1] if fixed else config["data.length"],
            # Folds are small, and each is trained by itself.
            "trainer.devices": 1 if config["trainer.devices"] == "auto" else config["trainer.devices"],
        }
    )
    config = asked.replace(
        {
            # Pixels are learned from in windows, among their neighbours; their labels choose them.
            "data.unit": "region",
            "data.fraction": None if problem.unit == "pixel" else design.fraction,
            "data.shots": None if problem.unit == "pixel" else design.shots,
            "model.init_args.dense": problem.unit == "pixel" if dense is None else dense,
            "model.init_args.in_channels": len(store.manifest.bands),
            "model.init_args.num_classes": len(store.manifest.classes),
            "trainer.limit_val_batches": 0,
            "trainer.num_sanity_val_steps": 0,
            "trainer.enable_checkpointing": False,
        }
    )
    parts = config.instantiate()
    parts.data.views.check([problem.table])
    trainer = make_trainer(parts.trainer, out)
    if trainer.world_size > 1:
        raise InvalidConfig(f"finetune trains on one device, got {trainer.world_size}; use --devices 1")
    device = trainer.strategy.root_device
    return _Work(asked, config, problem, checkpoint, parent, device, progress)

"""Finetune: train a backbone and its head on labels, fold by fold, beside the floors."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from sits_models import registry
from sits_models.bench.classify import classify_pixels
from sits_models.bench.design import Design
from sits_models.bench.features import Embedder, curve_of
from sits_models.bench.floors import random_twin, simple_floors
from sits_models.bench.problem import Fold, Numbers, Problem, pose
from sits_models.bench.scores import Row, Scores, save_scores
from sits_models.bench.votes import vote
from sits_models.checkpoint import ModelCard, check_card, read_card, save_checkpoint
from sits_models.data.datamodule import PlanarDataModule
from sits_models.data.items import Items
from sits_models.data.residence import open_table
from sits_models.data.stores import open_stores
from sits_models.data.targets import with_targets
from sits_models.errors import InvalidConfig
from sits_models.fit import Config, card_of, make_trainer, parse, train
from sits_models.recipes import recipe as find_recipe
from sits_models.runs import CONFIG, check_free, new_run
from sits_models.tasks.change import check_targets
from sits_models.tasks.classification import RegionClassification
from sits_models.tasks.keep_best import NOBODY_VALIDATES
from sits_models.tasks.losses import UNLABELLED

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
    recipe: str | None = None,
    overwrite: bool = False,
    command: Sequence[str] = (),
    progress: bool = False,
) -> Scores:
    """Train on the labels of a store and judge by folds, then train on all folds for `predict`.

    With a checkpoint every fold is trained twice: from the checkpoint, and from random weights under
    the same budget. No training looks at its test samples: who stops early (`model.patience`) watches
    regions that `data.validation` took from those that train.

    A region is named by the mean of its pixels' features, or, where walks are samples (`data.walks`), by
    the mean of their probabilities. A pixel is named as `predict` would draw it.

    `out` then holds `scores.json`, the classifier and the metrics of its training; those of each
    fold's training are under `folds/`.

    Args:
        arguments: flags of model, data and trainer, see `sits_models.fit.parse`; what `data.unit` and
            `data.gap_m` are when they are not given, `Design` says.
        out: the run folder.
        recipe: settings that are used where `arguments` say nothing else, see `sits_models.recipes`.
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
    work = prepare(arguments, out, recipe=recipe, progress=progress)
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
        rows = work.rows(out / "folds")
        trained = work.train(out, work.problem.final, fold=None, checkpoint=work.checkpoint)
        notes += _notes(trained)
        scores = work.problem.scores("finetune", rows, notes=notes, began=began)
        card = card_of(trained.model, trained.data, classes=trained.data.classes)
        save_checkpoint(out, trained.backbone, card, trained.head)
        save_scores(scores, out)
    return scores


class Trained(NamedTuple):
    """What one training leaves."""

    backbone: nn.Module
    head: nn.Module
    model: RegionClassification
    data: PlanarDataModule


@dataclass(frozen=True, eq=False)
class Work:
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
    ) -> Trained:
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
        return Trained(model.backbone, model.head.cpu(), model, parts.data)

    def name_samples(self, trained: Trained, samples: Numbers) -> Numbers:
        """The most probable of the judged classes of each sample: (N,) int64 by the store's classes."""
        chances = self.chances(trained, samples)[:, self.problem.judged]
        return np.asarray(self.problem.judged[chances.argmax(1).numpy()])

    def chances(self, trained: Trained, samples: Numbers) -> Tensor:
        """Probabilities of all classes of the store for each sample: (N, K) float32, on the CPU."""
        data, items = trained.data, self.problem.items.chosen(samples)
        if data.views.walks is not None:
            return vote(
                trained.model.to(self.device).eval(), self.problem.table, items.regions,
                views=data.views, normalisation=data.normalisation, seed=data.seed, device=self.device,
            )  # fmt: skip
        if items.rows is not None:
            return self._pixel_chances(trained, items, items.rows)
        embedder = Embedder(
            trained.backbone, data.normalisation, data.views.length, device=self.device,
            form=data.views.form,
        )  # fmt: skip
        with torch.no_grad():
            scores: Tensor = trained.head.cpu()(embedder.items(self.problem.table, items))
        return scores.softmax(1)

    def _pixel_chances(self, trained: Trained, items: Items, rows: Numbers) -> Tensor:
        """As a map would have them; a pixel that was never clear may be anything."""
        table, data = self.problem.table, trained.data
        found = classify_pixels(
            trained.backbone.to(self.device).eval(), trained.head.to(self.device), table,
            regions=torch.from_numpy(np.unique(items.regions)), normalisation=data.normalisation,
            curve=curve_of(table), length=data.views.length, device=self.device, form=data.views.form,
        )  # fmt: skip
        trained.head.cpu()
        chances = found[table.first_row.numpy()[items.regions] + rows]
        return torch.from_numpy(np.nan_to_num(chances, nan=1 / chances.shape[1]))


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
        validating = data.validation_regions[0] if data.validation_regions else []
        data.train_regions = [np.setdiff1d(chosen.regions, validating)]


def _notes(trained: Trained) -> Iterator[str]:
    """What else a reader of the scores must know."""
    settings, data = trained.model.hparams, trained.data
    wanted = (settings["backbone_args"] or {}).get("pretrained") and not settings["checkpoint"]
    if wanted and getattr(trained.backbone, "starts_from", None) is None:
        yield f"{settings['backbone']} started from random weights: those of ImageNet were not to be had"
    if data.validation is not None and (data.shots is not None or data.fraction is not None):
        yield "validation looked at all labels of the regions set aside, beside the few that trained"


def _settings(arguments: Sequence[str], recipe: str | None) -> Config:
    """What was given, over the recipe, over our defaults."""

    def read(words: Sequence[str], defaults: Mapping[str, object]) -> Config:
        task = RegionClassification
        return parse(words, model=task, default=task, defaults=defaults)

    if recipe is None:
        return read(arguments, DEFAULTS)
    known = read([word for word in arguments if not word.startswith("--print_config")], DEFAULTS)
    told = DEFAULTS | find_recipe(recipe, open_stores(known["data.root"])[0].manifest.bands)
    config = read(arguments, told)
    if config["model.init_args.backbone"] != told["model.backbone"]:
        # What a recipe says of its network is not meant for another one.
        del told["model.backbone_args"]
        config = read(arguments, told)
    return config


def prepare(arguments: Sequence[str], out: Path, *, recipe: str | None, progress: bool) -> Work:
    """Read the settings and pose the problem; what is wrong with either comes up here.

    Arguments and errors are those of `finetune`.
    """
    config = _settings(arguments, recipe)
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
    made = (
        (config["model.init_args.backbone"],)
        if parent is None
        else (parent.backbone, parent.backbone_arguments)
    )
    if parent is not None:
        manifest = store.manifest
        check_card(parent, bands=manifest.bands, resolution_m=manifest.grid.resolution_m)
    targets = config["data.targets"] or []
    if targets and (config["data.unit"] == "pixel" or config["data.walks"] is not None):
        raise InvalidConfig(
            "targets are those of whole regions, got walks or unit pixel beside them; use --unit region "
            "and no walks"
        )
    table = with_targets(open_table(store, resident="never"), [store], targets)
    problem = pose(store, table, design)
    if targets or config.get("model.init_args.each"):
        periods = config.get("model.init_args.periods") or []
        check_targets(targets, periods, each=bool(config.get("model.init_args.each")))
    if problem.unit == "pixel" and config["data.walks"] is not None:
        raise InvalidConfig("walks vote for regions, got --unit pixel; use --unit region, or no walks")
    if config["model.init_args.patience"] and config["data.validation"] is None:
        raise InvalidConfig(NOBODY_VALIDATES)
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
            "data.form": registry.form_of(*made),
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
            "trainer.limit_val_batches": 0 if config["data.validation"] is None else 1.0,
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
    return Work(asked, config, problem, checkpoint, parent, device, progress)

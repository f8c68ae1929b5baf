"""How the cells of a bench are filled: trainings, readers of frozen features, and floors."""

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sits_models import registry
from sits_models.bench.cells import Cell, Numbers
from sits_models.bench.features import Embedder, pick_device, view_length
from sits_models.bench.floors import apart_by_target, random_twin, raw_features
from sits_models.bench.problem import Fold, Problem, pose
from sits_models.bench.readers import READERS, fit_linear
from sits_models.bench.rocket import mini_rocket
from sits_models.checkpoint import check_card, load_backbone, read_card
from sits_models.data.residence import open_table
from sits_models.data.stores import open_one
from sits_models.data.targets import with_targets
from sits_models.finetune import prepare
from sits_models.judge.cells import Key, code_hash, hash_of
from sits_models.judge.config import BenchConfig, Entry
from sits_models.judge.leaks import check_leaks

TWIN, RAW, MAJORITY, ROCKET = "random-init", "raw features", "majority class", "MiniRocket"

FLOORS = (
    (MAJORITY, ""), (RAW, "kNN"), (RAW, "linear"), (RAW, "ridge"), (RAW, "random forest"), (RAW, ROCKET),
)  # fmt: skip
"""Name and reader of those that every bench has."""

_COSTLY = ("ridge", "random forest", ROCKET)

_DESIGN = ("unit", "split", "folds", "block_m", "gap_m", "targets")


class Said(NamedTuple):
    """What is said of test samples.

    Args:
        named: (N,) int64 classes of the store.
        chances: (N, K) float, or (N, 0).
    """

    named: Numbers
    chances: Tensor


@dataclass(frozen=True)
class Task:
    """A cell that can be filled.

    Args:
        key: which.
        entry: that it judges; None for a floor that needs no network.
        twin: whether the entry's network starts from random weights instead.
        floor: whether others must beat it.
    """

    key: Key
    entry: Entry | None
    twin: bool
    floor: bool


def all_tasks(config: BenchConfig) -> list[Task]:
    """Every cell of a bench, budget by budget and seed by seed, floors first."""
    tasks: list[Task] = []
    design = {name: getattr(config, name) for name in _DESIGN}
    data = {
        store: hash_of((open_one(store).path / "manifest.json").read_bytes()) for store in config.stores
    }
    weights = {
        entry.name: hash_of(read_card(entry.checkpoint).model_dump_json().encode())
        for entry in config.entries
        if entry.checkpoint is not None
    }
    for store, budget, seed in product(config.stores, config.budgets, range(config.seeds)):
        made = {"design": design, "code": code_hash(), "data": data[store]}
        for name, reader in FLOORS:
            tasks.append(
                Task(Key(store, name, reader, budget, seed, made), None, twin=False, floor=True)
            )
        for entry in config.entries:
            told: dict[str, Any] = {**made, "entry": entry.model_dump(exclude={"readers", "checkpoint"})}
            told |= {"settings": config.settings, "weights": weights.get(entry.name)}
            names = {entry.name: False}
            if entry.checkpoint is not None:
                names[f"{entry.name}, {TWIN}"] = True
            for reader, (name, twin) in product(entry.read_by, names.items()):
                key = Key(store, name, reader, budget, seed, told)
                tasks.append(Task(key, entry, twin=twin, floor=twin))
    return tasks


class Bench:
    """Fills cells; what cells share is worked out once.

    Args:
        config: of the bench.
        folder: for the logs of trainings.
        device: that computes; None takes a GPU where there is one.
    """

    def __init__(self, config: BenchConfig, folder: Path, *, device: str | None) -> None:
        self.config, self.folder = config, folder
        self.device = pick_device(device)
        self._problems: dict[tuple[str, str, int], Problem] = {}
        self._features: dict[tuple[str, str, bool, int], Tensor] = {}

    def fill(self, task: Task) -> Cell:
        """Train or read, fold by fold, and write down what is said of every test sample.

        Raises:
            LeakyFolds: training would see what is tested.
            TooFewLabels, InvalidRequest, CheckpointMismatch: the store cannot be judged so.
        """
        began = time.perf_counter()
        with _quietly():
            problem = self.problem(task.key)
            say = self._speaker(task, problem)
            said = [say(fold) for fold in problem.folds]
        sample = np.concatenate([fold.test for fold in problem.folds])
        # Blocks have the same numbers whatever the seed.
        blocks = np.unique(problem.groups, return_inverse=True)[1]
        return Cell(
            sample=sample,
            fold=np.repeat(
                [fold.number for fold in problem.folds], [len(f.test) for f in problem.folds]
            ),
            true=problem.labels[sample],
            named=np.concatenate([one.named for one in said]),
            block=blocks[sample].astype(np.int64),
            chances=torch.cat([one.chances for one in said]).to(torch.float16).numpy(),
            seconds=np.array(time.perf_counter() - began),
        )

    def problem(self, key: Key) -> Problem:
        """The store of a cell, cut under its budget and seed; checked for leaks once."""
        which = key.store, key.budget, key.seed
        if which not in self._problems:
            store = open_one(key.store)
            table = open_table(store, resident="never")
            table = with_targets(table, [store], self.config.targets)
            problem = pose(store, table, self.config.design(key.budget, key.seed))
            check_leaks(problem)
            self._problems[which] = problem
        return self._problems[which]

    def _speaker(self, task: Task, problem: Problem) -> Callable[[Fold], Said]:
        reader = task.key.reader
        if task.key.entry == MAJORITY:
            return lambda fold: _majority(problem, fold)
        if reader == "fine-tuned":
            return self._trainer(task, problem)
        features = (
            self._raw(task.key.store, problem) if task.entry is None else self._frozen(task, problem)
        )
        return lambda fold: _read(problem, fold, features, reader)

    def _trainer(self, task: Task, problem: Problem) -> Callable[[Fold], Said]:
        entry, key = task.entry, task.key
        assert entry is not None
        logs = self.folder / "trainings" / Path(key.file).stem
        words = list(_words(self.config, entry, key, problem, str(self.device)))

        def say(fold: Fold) -> Said:
            work = prepare(words, logs, recipe=entry.recipe, progress=False)
            start = None if task.twin else work.checkpoint
            shutil.rmtree(logs / str(fold.number), ignore_errors=True)
            trained = work.train(logs / str(fold.number), fold.train, fold=fold, checkpoint=start)
            chances = work.chances(trained, fold.test)
            judged = torch.from_numpy(problem.judged)
            return Said(problem.judged[chances[:, judged].argmax(1).numpy()], chances)

        return say

    def _frozen(self, task: Task, problem: Problem) -> Tensor:
        """Features of all labelled samples by a frozen backbone, or by its random twin."""
        assert task.entry is not None
        assert task.entry.checkpoint is not None
        seed = task.key.seed if task.twin else 0
        which = task.key.store, task.entry.name, task.twin, seed
        if which not in self._features:
            card = read_card(task.entry.checkpoint)
            manifest = problem.store.manifest
            check_card(card, bands=manifest.bands, resolution_m=manifest.grid.resolution_m)
            network = random_twin(card, seed=seed) if task.twin else load_backbone(task.entry.checkpoint)
            embedder = Embedder(
                network, card.normalisation, view_length(card), device=self.device,
                form=registry.form_of(card.backbone, card.backbone_arguments),
            )  # fmt: skip
            found = embedder.items(problem.table, problem.items)
            targets = problem.items.targets
            self._features[which] = found if targets is None else apart_by_target(found, targets)
        return self._features[which]

    def _raw(self, store: str, problem: Problem) -> Tensor:
        which = store, RAW, False, 0
        if which not in self._features:
            self._features[which] = raw_features(problem)
        return self._features[which]


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what each of many trainings tells; warnings stay."""
    log = logging.getLogger("sits_models")
    level = log.level
    log.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        log.setLevel(level)


def _majority(problem: Problem, fold: Fold) -> Said:
    commonest = np.bincount(problem.labels[fold.train]).argmax()
    return Said(np.full(len(fold.test), commonest), torch.zeros(len(fold.test), 0))


def _read(problem: Problem, fold: Fold, features: Tensor, reader: str) -> Said:
    labels, groups = torch.from_numpy(problem.labels), torch.from_numpy(problem.groups)
    train = problem.few_to_read(fold) if reader in _COSTLY else fold.train
    if reader == ROCKET:
        named = mini_rocket(features[train], labels[train], features[fold.test], groups=groups[train])
        return Said(named.numpy(), torch.zeros(len(fold.test), 0))
    features = features.flatten(1)
    if reader == "linear":
        head = fit_linear(
            features[train],
            labels[train],
            classes=len(problem.store.manifest.classes),
            groups=groups[train],
        )
        with torch.no_grad():
            chances: Tensor = head(features[fold.test]).softmax(1)
        return Said(chances.argmax(1).numpy(), chances)
    named = READERS[reader](features[train], labels[train], features[fold.test], groups=groups[train])
    return Said(named.numpy(), torch.zeros(len(fold.test), 0))


def _words(config: BenchConfig, entry: Entry, key: Key, problem: Problem, device: str) -> Iterator[str]:
    """Flags of `finetune` for a cell."""
    design = problem.design
    told: dict[str, object] = {
        "data.root": key.store,
        "seed": key.seed,
        "data.unit": problem.unit,
        "data.split": design.split,
        "data.folds": design.folds,
        "data.block_m": config.block_m,
        "data.gap_m": design.gap_m,
        "data.fraction": design.fraction,
        "data.shots": design.shots,
        "data.targets": config.targets or None,
        "model.checkpoint": entry.checkpoint,
        "model.backbone": entry.backbone,
        "trainer.accelerator": "cpu" if device == "cpu" else "gpu",
        **config.settings,
        **entry.settings,
    }
    for name, value in told.items():
        if value is not None:
            yield f"--{name}={_flag(value)}"
        elif name in {**config.settings, **entry.settings}:
            yield f"--{name}=null"


def _flag(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flag, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def cautions(config: BenchConfig) -> list[str]:
    """What checkpoints saw of the stores that they are judged on, a sentence each."""
    found: list[str] = []
    for entry in config.entries:
        if entry.checkpoint is None:
            continue
        card = read_card(entry.checkpoint)
        for store in config.stores:
            opened = open_one(store)
            problem = pose(opened, open_table(opened, resident="never"), config.design("all", 0))
            found += [f"{entry.name} on {Path(store).name}: {said}" for said in problem.cautions(card)]
    return found

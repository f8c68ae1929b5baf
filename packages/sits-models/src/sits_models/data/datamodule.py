"""Planar stores as a TorchGeo datamodule, for methods of self-supervision and for tasks alike."""

import logging
from collections.abc import Sequence
from typing import Any, cast, get_args

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torchgeo.datamodules import NonGeoDataModule

from sits_data.errors import InvalidRequest
from sits_data.manifest import LabelClass
from sits_data.store import PlanarStore
from sits_models.catalogue import Form
from sits_models.contract import Batch, Sample
from sits_models.data.items import Items, Unit, each_walk, few_items, items_of, labels_of, with_classes
from sits_models.data.loader import RegionLoader
from sits_models.data.normalisation import Normalisation, fit_normalisation
from sits_models.data.planar import PlanarDataset
from sits_models.data.regions import RegionBatch
from sits_models.data.residence import Resident, buffered_shards, join_tables, shards_of
from sits_models.data.sampler import Group, StoreYearSampler, calendar_years
from sits_models.data.sides import FOLDS, SplitName, choose_sides, hold_out
from sits_models.data.splits import Split
from sits_models.data.stores import open_groups, shared_classes
from sits_models.data.table import PixelTable, Window
from sits_models.data.targets import with_targets
from sits_models.data.task_views import TaskViews
from sits_models.ranges import COUNT, NOT_NEGATIVE, Range, check_ranges

_log = logging.getLogger("sits_models")


class PlanarDataModule(NonGeoDataModule):
    """Batches of regions of planar stores, split in space, normalised by what trains.

    The parts of a merged store of one UTM zone share batches, and are one table.

    Loaders yield `RegionBatch`. A task gets it as a `Batch` of the contract; a model that has the
    attribute `takes_regions = True` gets it as it is and draws its own views.

    After `setup` there are `stores` (the parts of a merged one by themselves), `groups` of them and the
    `tables` of these, `bands`, `classes`, `normalisation`, `chosen` (the `Split`, or None where all
    train), and `train_regions` and `test_regions`, positions in each store.

    Args:
        root: a store, or several of the same bands and resolution; "." is the only `*.planar` of the
            working directory.
        batch_size: samples of one process.
        order: the stored curve of a task's views; None draws any to train, and takes the first to
            test; "walk" draws random walks.
        length: positions of a task's view.
        dates: of a task's training view, drawn anew each time; None for all. Tests use all.
        walks: of each region, each one sample, when `order` draws: a whole number, or a share of its
            pixels up to 1.0, rounded up. None shows each region once.
        form: "curve" gives planar images, "chip" whole regions as they lie on the ground.
        fixed: dates and positions (T, L) of samples of one shape without padding, for stock tasks; in
            place of `order`'s draws, `length` and `dates`. See `sits_models.data.fixed`.
        years: batches of one calendar year; None is yes for `split` "none", else the whole series.
        folds: of `split` "blocks"; None is 5.
        fold: which one tests, 0 … folds-1; 0 for the two halves. None trains on all labelled regions.
        split: how labelled regions are split: see `block_folds` and `halves`. "none" trains on all
            regions, labelled or not. None is "none" for a model that takes regions, else "blocks".
        block_m: side of the blocks in metres; None takes the store's, smaller for small sites.
        gap_m: training regions nearer than that to a test region are left out; None is 50 for blocks
            and 0 for halves.
        fraction: of the labels of each class, above 0 to 1; None for all.
        shots: labels of each class; None for all.
        validation: share of the training regions, whole blocks of the ground, that do not train but
            validate, in place of those that test; None for none.
        unit: what one sample is; a "pixel" is an image of one position. None is "region".
        targets: columns of the stores' regions that hold class codes, such as what changed in each
            year: each is a target, and a sample, of each region. None takes the stores' labels.
        resident: whether pixels are copied to the training device, see `open_table`. Where "auto" finds
            that they do not fit, files are shuffled some at a time, as many as a quarter of the free
            memory holds: batches then depend on the machine.
        seed: of splits, few labels, order of samples and views.
        num_workers: no use is made of it: batches are index lists, and gathered on the device.
        normalisation: of a checkpoint, say; None fits one to the training regions.

    Raises:
        InvalidRequest: a setting is out of its range, or contradicts another.

    Example::

        torchgeo fit --model sits_models.tasks.RegionClassification
            --data sits_models.data.PlanarDataModule --data.root field.planar
    """

    # TorchGeo's tasks undo these before they plot: values are normalised already.
    mean, std = torch.tensor(0.0), torch.tensor(1.0)

    def __init__(
        self,
        root: str | list[str] = ".",
        *,
        batch_size: int = 64,
        order: str | None = None,
        length: int = 64,
        dates: int | None = None,
        walks: int | float | None = None,
        form: Form = "curve",
        fixed: tuple[int, int] | None = None,
        years: bool | None = None,
        folds: int | None = None,
        fold: int | None = 0,
        split: SplitName | None = None,
        block_m: int | None = None,
        gap_m: float | None = None,
        fraction: float | None = None,
        shots: int | None = None,
        validation: float | None = None,
        unit: Unit | None = None,
        targets: list[str] | None = None,
        resident: Resident = "auto",
        seed: int = 0,
        num_workers: int = 0,
        normalisation: Normalisation | None = None,
    ) -> None:
        super().__init__(PlanarDataset, batch_size, num_workers)
        self.root, self.resident, self.seed, self.normalisation = root, resident, seed, normalisation
        self.split, self.folds, self.fold, self.years = split, folds, fold, years
        self.block_m, self.gap_m = block_m, gap_m
        self.fraction, self.shots, self.unit = fraction, shots, unit or "region"
        self.validation, self.targets = validation, targets or []
        self.views = TaskViews(length, dates, order, fixed, walks, form)
        self._check_settings()
        self.stores: list[PlanarStore] = []
        self.tables: list[PixelTable] = []
        self.bands: tuple[str, ...] = ()
        self.classes: tuple[LabelClass, ...] = ()
        self.chosen: Split | None = None
        self.train_regions: list[NDArray[np.int64]] = []
        self.test_regions: list[NDArray[np.int64]] = []
        self.validation_regions: list[NDArray[np.int64]] = []
        self.groups: list[list[PlanarStore]] = []

    def setup(self, stage: str) -> None:  # noqa: ARG002
        """Open the stores and decide who trains; the second time that is known.

        Raises:
            NotAStore, DamagedStore: a path holds no store of this version, or not all of it.
            InvalidRequest: the stores do not fit together, or lack the curve.
            TooFewLabels: labels are missing, or cannot be split as asked.
        """
        if not self.tables:
            groups = open_groups(self.root)
            self._choose_regions([store for group in groups for store in group])
            self._open_tables(groups)
        if self.trainer is not None and not any(map(len, self._validating)):
            self.trainer.limit_val_batches = 0  # nobody to validate on; an empty loader makes it warn

    def train_dataloader(self) -> RegionLoader:  # type: ignore[override]
        """Shuffled; batches of one store, and of one calendar year where `years` says so."""
        items = self._walks(self._train_items())
        years = self.split == "none" if self.years is None else self.years
        return self._loader(items, self._training_groups(items, years=years), train=True)

    def val_dataloader(self) -> RegionLoader | list[RegionLoader]:  # type: ignore[override]
        """The regions that validate, else those that test, in order; no loader where all train."""
        return self._evaluation_loader(self._validating, labelled=True)

    def test_dataloader(self) -> RegionLoader | list[RegionLoader]:  # type: ignore[override]
        """The regions that test, in order; no loader where all regions train."""
        return self._evaluation_loader(self.test_regions, labelled=True)

    def predict_dataloader(self) -> RegionLoader | list[RegionLoader]:  # type: ignore[override]
        """All regions, labelled or not, in order."""
        everybody = [np.arange(len(store)) for store in self.stores]
        return self._evaluation_loader(everybody, labelled=False)

    def on_after_batch_transfer(  # type: ignore[override]
        self,
        batch: RegionBatch,
        dataloader_idx: int,  # noqa: ARG002
    ) -> RegionBatch | Batch:
        """Gather the pixels of a task's view, on the device that the batch is on."""
        return batch if self._takes_regions else self.views.draw(batch)

    def class_counts(self) -> Tensor:
        """(K,) int64 training samples of each class: regions, their pixels or walks."""
        counts = torch.zeros(len(self.classes), dtype=torch.int64)
        for table, items in zip(self.tables, self._walks(self._train_items()), strict=True):
            label = labels_of(table, items)
            counts += torch.bincount(label[label >= 0], minlength=len(counts))
        return counts

    def plot(self, sample: Sample, **settings: Any) -> Figure:
        """Draw one band of a sample; TorchGeo's tasks ask for it when they log figures.

        Args:
            sample: one of a batch, with or without a `prediction`.
            **settings: of `PlanarDataset.plot`.
        """
        on_cpu = {key: cast(Tensor, value).cpu() for key, value in sample.items()}
        dataset = PlanarDataset(self.stores[0].path, normalisation=self.normalisation)
        figure = dataset.plot(cast(Sample, on_cpu), **settings)
        known = {key: int(on_cpu[key]) for key in ("label", "prediction") if key in on_cpu}
        named = (f"{key}: {self._named(one)}" for key, one in known.items() if one >= 0)
        figure.suptitle(", ".join(named))
        return figure

    def _named(self, label: int) -> str:
        """The class of a label; a model may have more outputs than the store has classes."""
        return self.classes[label].name if label < len(self.classes) else f"output {label}"

    @property
    def _validating(self) -> list[NDArray[np.int64]]:
        return self.test_regions if self.validation is None else self.validation_regions

    @property
    def _takes_regions(self) -> bool:
        return self.trainer is not None and getattr(
            self.trainer.lightning_module, "takes_regions", False
        )

    def _check_settings(self) -> None:
        views = self.views
        check_ranges(
            {
                "batch_size": self.batch_size,
                "fold": self.fold,
                "length": views.length,
                "dates": views.dates,
                "validation": self.validation,
            },
            {
                "batch_size": COUNT,
                "fold": NOT_NEGATIVE,
                "length": COUNT,
                "dates": COUNT,
                "validation": Range(0, 1, open=True),
            },
        )
        choices: list[tuple[str, str | None, tuple[str, ...]]] = [
            ("split", self.split, get_args(SplitName)),
            ("unit", self.unit, get_args(Unit)),
            ("form", views.form, get_args(Form)),
        ]
        for name, choice, known in choices:
            if choice is not None and choice not in known:
                raise InvalidRequest(f"{name} must be one of {', '.join(known)}, got {choice}")
        if views.fixed is not None and (min(views.fixed) < 1 or self.unit == "pixel"):
            raise InvalidRequest(
                "fixed needs at least 1 date and 1 position, of regions and not of pixels, got "
                f"{views.fixed} with unit {self.unit}"
            )
        if self.targets and (views.walks is not None or self.unit == "pixel"):
            raise InvalidRequest(
                "targets are those of whole regions, got walks or unit pixel beside them; use unit "
                "region and no walks"
            )
        if views.form == "chip" and self.unit == "pixel":
            raise InvalidRequest("a chip shows whole regions, got unit pixel; use unit region")
        if views.walks is not None and self.unit == "pixel":
            raise InvalidRequest(
                "a sample is a walk or a pixel, got walks with unit pixel; use one of them"
            )
        blocks = self.split in ("blocks", None)
        folds = (FOLDS if self.folds is None else self.folds) if blocks else 1
        if self.fold is not None and self.fold >= folds:
            raise InvalidRequest(
                f"fold counts from 0 and must be below the number of folds {folds}, got {self.fold}"
            )
        if self.split == "none" and (self.fraction, self.shots, self.validation) != (None, None, None):
            raise InvalidRequest(
                "fraction and shots choose among labels, as validation does; split none takes all "
                "regions; use another split, and fold null to train on all labelled regions"
            )

    def _choose_regions(self, stores: list[PlanarStore]) -> None:
        if self.split is None:
            self.split = "none" if self._takes_regions else "blocks"
        self.stores = stores
        self.bands = self.stores[0].manifest.bands
        self.classes, _ = shared_classes(self.stores)
        sides = choose_sides(
            self.stores,
            split=self.split,
            folds=self.folds,
            fold=self.fold,
            block_m=self.block_m,
            gap_m=self.gap_m,
            seed=self.seed,
        )
        self.train_regions, self.test_regions, self.chosen = sides.train, sides.test, sides.split
        if self.chosen is not None:
            _log.info("%s", self.chosen.description)
        if self.validation is not None:
            self.train_regions, self.validation_regions = hold_out(
                self.stores, self.train_regions, share=self.validation, seed=self.seed
            )
            _log.info("%d of them validate", sum(map(len, self.validation_regions)))
        self.normalisation = self.normalisation or fit_normalisation(self.stores, self.train_regions)

    def _open_tables(self, groups: list[list[PlanarStore]]) -> None:
        device = self.trainer.strategy.root_device if self.trainer else "cpu"
        self.groups = groups
        self.tables = [
            with_targets(
                with_classes(join_tables(group, device=device, resident=self.resident), self.classes),
                group,
                self.targets,
            )
            for group in groups
        ]
        if self.unit == "region" and not self._takes_regions:
            self.views.check(self.tables)

    def _items(self, regions: Sequence[NDArray[np.int64]], *, labelled: bool) -> list[Items]:
        """The samples of each table that some regions of each store make."""
        first = np.cumsum([0, *map(len, self.stores)])
        stops = np.cumsum([len(group) for group in self.groups]).tolist()
        starts = [0, *stops[:-1]]
        positions = [
            np.concatenate([regions[n] + first[n] - first[start] for n in range(start, stop)])
            for start, stop in zip(starts, stops, strict=True)
        ]
        return [
            items_of(table, chosen, unit=self.unit, labelled=labelled)
            for table, chosen in zip(self.tables, positions, strict=True)
        ]

    def _train_items(self) -> list[Items]:
        items = self._items(self.train_regions, labelled=self.split != "none")
        if self.fraction is None and self.shots is None:
            return items
        return few_items(self.tables, items, fraction=self.fraction, shots=self.shots, seed=self.seed)

    def _walks(self, items: list[Items]) -> list[Items]:
        """Each walk by itself, where walks are samples."""
        walks = self.views.walks
        if walks is None:
            return items
        return [each_walk(table, one, walks) for table, one in zip(self.tables, items, strict=True)]

    def _evaluation_loader(
        self, regions: Sequence[NDArray[np.int64]], *, labelled: bool
    ) -> RegionLoader | list[RegionLoader]:
        items = self._walks(self._items(regions, labelled=labelled))
        groups = [Group(number, None, np.arange(len(one))) for number, one in enumerate(items)]
        return self._loader(items, groups, train=False) if any(map(len, items)) else []

    def _training_groups(self, items: list[Items], *, years: bool) -> list[Group]:
        groups = []
        for number, (table, one) in enumerate(zip(self.tables, items, strict=True)):
            buffer = buffered_shards(table) if self.resident == "auto" else None
            shard = shards_of(table)[one.regions] if buffer else None
            for window, shown in _years(table) if years else [(None, np.full(len(table), True))]:
                some = np.flatnonzero(shown[one.regions])
                part = None if shard is None else shard[some]
                groups.append(Group(number, window, some, part, buffer or 1))
        return groups

    def _loader(self, items: list[Items], groups: list[Group], *, train: bool) -> RegionLoader:
        sampler = StoreYearSampler(
            groups,
            batch_size=self.batch_size,
            seed=self.seed,
            rank=self.trainer.global_rank if self.trainer else 0,
            world_size=self.trainer.world_size if self.trainer else 1,
            shuffle=train,
            # A contrastive loss depends on the size of its batch; a task needs every label.
            drop_last=self.split == "none",
        )
        return RegionLoader(sampler, self.tables, items, normalisation=self.normalisation)


def _years(table: PixelTable) -> list[tuple[Window, NDArray[np.bool_]]]:
    """The years of a table, and which regions have enough dates in each."""
    calendar, found = table.calendar.cpu().numpy(), dict[Window, list[int]]()
    for number, (days, dated) in enumerate(zip(table.dates.tolist(), table.dated.tolist(), strict=True)):
        for window in calendar_years(np.array(days[:dated])):
            found.setdefault(window, []).append(number)
    dates = table.dates.cpu().numpy()
    used = sum(
        int(((first <= dates[calendars]) & (dates[calendars] < stop)).sum())
        for (first, stop), calendars in found.items()
    )
    _log.info("%d of %d dates, in %d periods of batches", used, int(table.dated.sum()), len(found))
    return [(window, np.isin(calendar, found[window])) for window in sorted(found)]

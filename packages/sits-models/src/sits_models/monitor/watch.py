"""Every few epochs: embed regions, and log how spread out they are and what kNN reads from them."""

import logging
from collections.abc import Sequence

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from sits_data.store import PlanarStore
from sits_models.bench.features import Embedder
from sits_models.bench.metrics import macro_f1
from sits_models.bench.readers import knn
from sits_models.data.splits import block_folds
from sits_models.data.table import PixelTable
from sits_models.errors import TooFewLabels
from sits_models.monitor.spread import embedding_std, rankme

_log = logging.getLogger("sits_models")


class Monitor(Callback):
    """Logs `embedding_std`, `rankme` and, where there are labels, `knn_macro_f1`.

    Labels are looked at, never learned from: the neighbours of a region lie in other blocks of the
    ground than itself.

    Args:
        every_n_epochs: how often; None about twenty times a run, and after the last epoch.
        max_regions: that are embedded, spread over the first table.
        length: positions of a window, see `Embedder`; None those of the method's longest view.
    """

    def __init__(
        self,
        every_n_epochs: int | None = None,
        max_regions: int = 1000,
        length: int | None = None,
    ) -> None:
        self.every_n_epochs, self.max_regions, self.length = every_n_epochs, max_regions, length
        self._watched: _Watched | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose the regions: those of the first table."""
        datamodule = trainer.datamodule  # type: ignore[attr-defined]
        self._watched = _choose(datamodule.groups[0], datamodule.tables[0], self.max_regions)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Embed and log, if it is time."""
        if not self._is_time(trainer):
            return
        backbone = pl_module.backbone
        assert isinstance(backbone, nn.Module)
        length = self.length or int(pl_module.view_length)  # type: ignore[arg-type]
        for name, value in self.measure(backbone, trainer, pl_module.device, length).items():
            pl_module.log(name, value, prog_bar=name == "knn_macro_f1", sync_dist=True)

    def measure(
        self, backbone: nn.Module, trainer: Trainer, device: torch.device, length: int
    ) -> dict[str, float]:
        """The three figures, or two where there are no labels."""
        watched = self._watched
        assert watched is not None
        learning = backbone.training
        norm = trainer.datamodule.normalisation  # type: ignore[attr-defined]
        embedder = Embedder(backbone, norm, length, device=device)
        embedding = embedder.regions(watched.table, watched.regions)
        backbone.train(learning)
        found = {"embedding_std": embedding_std(embedding), "rankme": rankme(embedding)}
        if watched.train is not None and watched.test is not None:
            named = knn(embedding[watched.train], watched.label[watched.train], embedding[watched.test])
            truth, classes = watched.label[watched.test].numpy(), len(watched.table.classes)
            found["knn_macro_f1"] = macro_f1(truth, named.numpy(), classes)
        return found

    def _is_time(self, trainer: Trainer) -> bool:
        epochs = trainer.max_epochs
        if epochs is None or epochs < 0:
            batches = max(1, int(trainer.num_training_batches))
            epochs = -(-trainer.max_steps // batches)
        every = self.every_n_epochs or max(1, epochs // 20)
        done = trainer.current_epoch + 1
        return done % every == 0 or done >= epochs or 0 < trainer.max_steps <= trainer.global_step


class _Watched:
    """Some regions of a store, and which of them name which."""

    def __init__(
        self, table: PixelTable, regions: Tensor, train: Tensor | None, test: Tensor | None
    ) -> None:
        self.table, self.regions, self.train, self.test = table, regions, train, test
        self.label = table.label.cpu()[regions]


def _choose(stores: Sequence[PlanarStore], table: PixelTable, max_regions: int) -> _Watched:
    count = min(max_regions, len(table))
    regions = torch.from_numpy(np.unique(np.linspace(0, len(table) - 1, count).astype(np.int64)))
    if not table.classes:
        return _Watched(table, regions, None, None)
    try:
        split = block_folds(stores, folds=2, gap_m=0)[0]
    except TooFewLabels as error:
        _log.info("no kNN is watched: %s", error)
        return _Watched(table, regions, None, None)
    sides = [
        torch.from_numpy(np.flatnonzero(np.isin(regions.numpy(), side)))
        for side in (split.train, split.test)
    ]
    return _Watched(table, regions, *(side if len(side) else None for side in sides))

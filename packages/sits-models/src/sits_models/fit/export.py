"""The checkpoint that a finished run leaves."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from sits_models.checkpoint import ModelCard, save_checkpoint


class Trained(NamedTuple):
    """What is exported.

    Args:
        backbone: the network to keep.
        card: of the checkpoint.
        head: a linear layer, or None.
    """

    backbone: nn.Module
    card: ModelCard
    head: nn.Module | None = None


class Export(Callback):
    """Writes weights and card into the run folder when training ends well.

    Args:
        folder: of the run.
        describe: says what of the model is kept, and its card.
    """

    def __init__(self, folder: Path, describe: Callable[[Trainer, LightningModule], Trained]) -> None:
        self.folder, self.describe = folder, describe

    def on_train_end(self, trainer: Trainer, model: LightningModule) -> None:
        """Write them, in one process."""
        if trainer.is_global_zero:
            trained = self.describe(trainer, model)
            save_checkpoint(self.folder, trained.backbone, trained.card, trained.head)

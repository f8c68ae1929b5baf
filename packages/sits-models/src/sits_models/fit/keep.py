"""`checkpoints/last.ckpt`: everything that is needed to go on after a kill."""

import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from sits_models.runs import LAST


class KeepLast(Checkpoint):
    """Saves the state of training at ends of epochs, unless that was done a moment ago.

    Lightning's own `ModelCheckpoint` moves its file from the system's temporary folder, often another
    disk, so that a kill may leave half a file; here it is renamed within its folder. That waits until
    the epoch's metrics are written, which Lightning does after its hooks: whoever goes on from the file
    finds all rows of the steps behind it.

    Args:
        folder: of the run.
        every_n_steps: an epoch that ends so many steps after the last file makes another.
        every_s: or so many seconds after it.
    """

    def __init__(self, folder: Path, *, every_n_steps: int = 50, every_s: float = 60) -> None:
        super().__init__()
        self.file, self.every_n_steps, self.every_s = folder / LAST, every_n_steps, every_s
        self._partial = self.file.with_name(f"{self.file.name}.partial")
        self._pending = False
        self._saved, self._when = 0, 0.0
        self._draws: Tensor | None = None

    def on_train_start(self, trainer: Trainer, _: LightningModule) -> None:
        """Let a resumed run draw what the first one would have drawn."""
        self._saved, self._when = trainer.global_step, time.monotonic()
        if self._draws is not None:
            torch.set_rng_state(self._draws)

    def on_train_epoch_end(self, trainer: Trainer, _: LightningModule) -> None:
        """Save, if it is time; all processes follow the clock of the first."""
        steps, seconds = trainer.global_step - self._saved, time.monotonic() - self._when
        late = bool(trainer.strategy.broadcast(seconds >= self.every_s))
        if late or steps >= self.every_n_steps:
            trainer.save_checkpoint(self._partial)
            self._pending = True
            self._saved, self._when = trainer.global_step, time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, _: LightningModule) -> None:
        """Give the file of the epoch before its name."""
        self._name(trainer)

    def on_train_end(self, trainer: Trainer, _: LightningModule) -> None:
        """Give the file of the last epoch its name."""
        self._name(trainer)

    def on_exception(self, trainer: Trainer, _: LightningModule, __: BaseException) -> None:
        """The same, if what failed came after the metrics."""
        epochs = trainer.fit_loop.epoch_progress.current
        if epochs.completed == epochs.ready:
            self._name(trainer)

    def _name(self, trainer: Trainer) -> None:
        if self._pending and trainer.is_global_zero:
            self._partial.replace(self.file)
        self._pending = False

    def on_save_checkpoint(
        self, trainer: Trainer, _: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note that the epoch is over.

        Lightning 2.6 notes it after the hook in which states are saved. Going on, it sees to that itself
        where training ends by epochs; where it ends by steps it would take one more batch.
        """
        if trainer.max_steps == -1:
            return
        loop = checkpoint["loops"]["fit_loop"]
        for progress in loop["epoch_progress"].values():
            progress["completed"] = progress["processed"]
        batches = loop["epoch_loop.batch_progress"]
        batches["current"] = dict.fromkeys(batches["current"], 0)
        batches["is_last_batch"] = False

    def state_dict(self) -> dict[str, Any]:
        """The state of torch's global generator, for models that use it."""
        return {"draws": torch.get_rng_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the state of the run that is resumed."""
        self._draws = state_dict["draws"].cpu()


def steps_done(file: Path) -> int:
    """Optimiser steps behind a checkpoint; 0 where there is none. Read without unpickling."""
    if not file.is_file():
        return 0
    return int(torch.load(file, map_location="cpu", weights_only=True)["global_step"])

"""One bar for the whole run, on stderr."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm


class StepsBar(ProgressBar):
    """Steps done of all steps, the epoch and the last loss."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: tqdm[Any] | None = None
        self._enabled = True

    def disable(self) -> None:
        """Show nothing; Lightning calls it in all processes but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Show the bar again."""
        self._enabled = True

    def on_train_start(self, trainer: Trainer, _: LightningModule) -> None:
        """Start where the run is, which is not 0 when it is resumed."""
        steps = trainer.estimated_stepping_batches
        self._bar = tqdm(
            total=None if steps == float("inf") else int(steps),
            initial=trainer.global_step,
            unit="step",
            disable=not self._enabled,
            dynamic_ncols=True,
        )

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Move on."""
        if self._bar is not None and trainer.global_step > self._bar.n:
            self._bar.set_description(f"epoch {trainer.current_epoch + 1}", refresh=False)
            shown = {name: float(value) for name, value in trainer.progress_bar_metrics.items()}
            self._bar.set_postfix(shown, refresh=False)
            self._bar.update(trainer.global_step - self._bar.n)

    def on_train_end(self, *_: Any) -> None:
        """Leave the last state on the screen."""
        self._close()

    def on_exception(self, *_: Any) -> None:
        """Leave the last state on the screen, so that the message has its own line."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

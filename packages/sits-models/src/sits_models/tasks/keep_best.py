"""Training that ends when it no longer helps, with the weights that helped most."""

from collections.abc import Mapping
from typing import Any, Final

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from torch import Tensor

from sits_models.errors import InvalidConfig

NOBODY_VALIDATES: Final = (
    "patience watches the validation loss, and no region validates; give --data.validation 0.2, or "
    "--model.patience null"
)


class KeepBest(EarlyStopping):
    """Stops after some epochs without a smaller `val_loss`, and puts the best weights back.

    Args:
        patience: epochs.
    """

    def __init__(self, patience: int) -> None:
        super().__init__("val_loss", patience=patience, mode="min", check_on_train_epoch_end=False)
        self._least: Tensor | None = None
        self._weights: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check that somebody validates.

        Raises:
            InvalidConfig: nobody does.
        """
        if not trainer.limit_val_batches:
            raise InvalidConfig(NOBODY_VALIDATES)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember the weights, if they are the best so far."""
        super().on_validation_end(trainer, pl_module)
        loss = trainer.callback_metrics.get("val_loss")
        if trainer.sanity_checking or loss is None or not bool(torch.isfinite(loss)):
            return
        if self._least is None or loss < self._least:
            self._least = loss.detach().clone()
            self._weights = {
                name: value.detach().cpu().clone() for name, value in pl_module.state_dict().items()
            }

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put them back."""
        super().on_train_end(trainer, pl_module)
        if self._weights:
            pl_module.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """With the best weights, so that a resumed run has them too."""
        return super().state_dict() | {"least": self._least, "weights": self._weights}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a kept state."""
        super().load_state_dict(dict(state_dict))
        self._least, self._weights = state_dict["least"], dict(state_dict["weights"])

"""The end of a run whose weights are no numbers any more."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from sits_models.errors import TrainingDiverged


class StopDiverged(Callback):
    """Looks at the weights after each epoch, before anything is made of them."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop if one is not finite.

        Raises:
            TrainingDiverged: says when it was noticed.
        """
        if not all(bool(torch.isfinite(one).all()) for one in pl_module.parameters()):
            raise TrainingDiverged(
                f"training has diverged by step {trainer.global_step}: weights are not finite; lower "
                "--model.lr, or clip gradients with --trainer.gradient_clip_val 1"
            )

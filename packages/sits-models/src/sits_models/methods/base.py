"""What self-supervised methods share: a backbone, views of regions, one optimiser, one schedule."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, cast

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchgeo.tasks import BaseTask

from sits_data.errors import InvalidRequest
from sits_models import registry
from sits_models.data.curves import WALK
from sits_models.data.regions import RegionBatch
from sits_models.data.table import say_padded
from sits_models.ranges import COUNT, NOT_NEGATIVE, POSITIVE, SHARE, Range
from sits_models.schedules import warmup_cosine
from sits_models.views.planar import View

RANGES: Mapping[str, Range] = {
    "in_channels": COUNT,
    "length": COUNT,
    "dates": COUNT,
    "gain": Range(0, 0.99),
    "lr": POSITIVE,
    "weight_decay": NOT_NEGATIVE,
    "warmup": SHARE,
}
"""Of the settings that methods share."""


class Method(BaseTask):
    """A backbone that learns from batches of regions without their labels.

    Subclasses name their models, loss and training step. `last_embedding` holds the (B, D) embeddings
    of the last batch, for those who watch.
    """

    takes_regions = True
    ignore = None
    last_embedding: Tensor | None = None

    @property
    @abstractmethod
    def backbone(self) -> nn.Module:
        """The network to keep."""

    @property
    @abstractmethod
    def views(self) -> tuple[View, ...]:
        """The views of a region, in the order of their numbers."""

    @property
    def view_length(self) -> int:
        """Positions of the longest view: regions are best embedded in windows of that many."""
        return max(view.length for view in self.views)

    def make_backbone(self) -> nn.Module:
        """A new backbone as the settings have it.

        Raises:
            UnknownName: none of that name is registered.
        """
        name, bands = self.hparams["backbone"], self.hparams["in_channels"]
        return cast(nn.Module, registry.create("backbones", name, in_channels=bands))

    def setup(self, stage: str) -> None:
        """Check that the data has what the views, the backbone and the loss need."""
        data = getattr(self.trainer, "datamodule", None)
        if getattr(data, "batch_size", 2) < 2:
            raise InvalidRequest(
                "regions are learned from beside each other; batch_size must be at least 2"
            )
        for view in self.views:
            view.check()
        for table in getattr(data, "tables", []):
            if set(self.views[0].curves) != {WALK}:
                say_padded(table, self.view_length)
            if len(table.bands) != self.hparams["in_channels"]:
                raise InvalidRequest(
                    f"the store has {len(table.bands)} bands ({', '.join(table.bands)}), the model "
                    f"takes {self.hparams['in_channels']}; set --model.in_channels {len(table.bands)}"
                )

    @abstractmethod
    def loss_of(self, batch: RegionBatch) -> Tensor:
        """The loss of a batch; sets `last_embedding`."""

    def training_step(self, batch: RegionBatch, batch_idx: int) -> Tensor:
        """One step: the loss, logged."""
        loss = self.loss_of(batch)
        self.log("train_loss", loss, on_step=True, on_epoch=False, prog_bar=True, batch_size=len(batch))
        return loss

    def validation_step(self, *args: Any) -> None:
        """Nothing: what was learned is judged by the monitor and by probes."""

    @property
    def total_steps(self) -> int:
        """Steps of the whole run, whether it was given in steps or in epochs."""
        steps = self.trainer.estimated_stepping_batches
        if steps == float("inf"):
            raise InvalidRequest("training needs an end; set --max-epochs or --max-steps")
        return int(steps)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW without decay of biases, norms and tokens; linear warm-up, then a cosine to 0."""
        decayed = [one for one in self.parameters() if one.requires_grad and one.squeeze().ndim > 1]
        others = [one for one in self.parameters() if one.requires_grad and one.squeeze().ndim <= 1]
        optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": self.hparams["weight_decay"]},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=self.hparams["lr"],
        )
        scheduler = warmup_cosine(optimizer, steps=self.total_steps, warmup=self.hparams["warmup"])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

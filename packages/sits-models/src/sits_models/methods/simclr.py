"""SimCLR: two views of a region are alike, views of different regions are not.

Source: Chen, Kornblith, Norouzi and Hinton, A simple framework for contrastive learning of visual
representations (ICML 2020, arXiv 2002.05709). Here views are planar: other curves, other dates.
"""

from collections.abc import Sequence

import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from torch import Tensor, nn

from sits_models.data.regions import RegionBatch
from sits_models.methods.base import RANGES, Method
from sits_models.ranges import COUNT, POSITIVE, check_ranges
from sits_models.views.planar import View, draw


class SimCLR(Method):
    """Contrastive learning with the other regions of a batch as negatives (NT-Xent).

    Args:
        backbone: name of a registered one.
        in_channels: bands.
        length: positions of a view.
        dates: dates of a view; the two views of a region share none, as far as it has enough.
        curves: of which each view takes one, see `sits_data.orders.names`.
        gain: how much brighter or darker each band of a view may be, see `View`; 0 for none.
        temperature: of the loss.
        projection_dim: width of what the loss compares.
        lr: highest learning rate of AdamW.
        weight_decay: of matrices.
        warmup: share of the steps in which the learning rate rises, 0 … 1.

    Raises:
        InvalidRequest: a setting is out of its range.
    """

    def __init__(
        self,
        backbone: str = "planar_vit_nano",
        *,
        in_channels: int = 10,
        length: int = 32,
        dates: int = 16,
        curves: Sequence[str] = ("hilbert", "snake", "walk"),
        gain: float = 0.2,
        temperature: float = 0.5,
        projection_dim: int = 128,
        lr: float = 1e-3,
        weight_decay: float = 0.05,
        warmup: float = 0.1,
    ) -> None:
        check_ranges(locals(), {**RANGES, "temperature": POSITIVE, "projection_dim": COUNT})
        super().__init__()

    def configure_models(self) -> None:
        """Backbone and projector."""
        self.model = self.make_backbone()
        width = int(self.model.embed_dim)
        self.projector = SimCLRProjectionHead(width, 4 * width, self.hparams["projection_dim"])

    def configure_losses(self) -> None:
        """NT-Xent; negatives of all processes when there are several."""
        several = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.criterion = NTXentLoss(self.hparams["temperature"], gather_distributed=several)

    @property
    def backbone(self) -> nn.Module:
        """The one network there is."""
        model: nn.Module = self.model
        return model

    @property
    def views(self) -> tuple[View, ...]:
        """Two alike."""
        settings = self.hparams
        view = View(
            settings["length"],
            settings["dates"],
            curves=tuple(settings["curves"]),
            apart=True,
            gain=settings["gain"],
        )
        return view, view

    def on_fit_start(self) -> None:
        """Know by now how many processes there are."""
        self.criterion = NTXentLoss(
            self.hparams["temperature"], gather_distributed=self.trainer.world_size > 1
        )

    def loss_of(self, batch: RegionBatch) -> Tensor:
        """NT-Xent of the projections of both views."""
        both = draw(batch, self.views[0], 0, 1)
        embeddings = self.model(both).embedding.chunk(2)
        self.last_embedding = embeddings[0].detach()
        first, second = (self.projector(embedding) for embedding in embeddings)
        loss: Tensor = self.criterion(first, second)
        return loss

"""Naming the class of a region, or of each of its pixels, from a planar view."""

from typing import Any, Literal

import torch
from lightning.pytorch import Callback
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchgeo.tasks import BaseTask
from torchgeo.tasks.mixins import ClassificationMixin
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from sits_data.errors import InvalidRequest
from sits_models.checkpoint import load_backbone
from sits_models.contract import Batch
from sits_models.ranges import COUNT, NOT_NEGATIVE, SHARE, check_ranges
from sits_models.registry import create
from sits_models.schedules import warmup_cosine
from sits_models.tasks.keep_best import KeepBest
from sits_models.tasks.losses import UNLABELLED, Loss, loss_of

_RANGES = {
    "in_channels": COUNT,
    "num_classes": COUNT,
    "label_smoothing": SHARE,
    "lr": NOT_NEGATIVE,
    "weight_decay": NOT_NEGATIVE,
    "warmup": SHARE,
    "patience": COUNT,
}


class RegionClassification(ClassificationMixin, BaseTask):
    """A backbone and one linear layer, trained on regions or on their pixels.

    A region's embedding is the mean of its pixel features, so the layer names either: trained on
    regions it can still draw a map. Where a batch knows the class of each pixel (`mask`), the loss is
    that of pixels.

    Args:
        backbone: name of a registered backbone; not used with a checkpoint.
        backbone_args: what it is made with, besides its card's arguments and the number of bands.
        checkpoint: run folder or file with a trained backbone; None starts from random weights.
        in_channels: bands; None asks the checkpoint, then the datamodule.
        num_classes: K; None asks the datamodule.
        freeze: train the linear layer only.
        dense: loss of each clear pixel, which has its region's class where it has none of its own;
            None does so where the batch has a `mask`.
        class_weights: of the loss, one a class; "balanced" is N / (K n) of the training samples, n
            those of the class; None weighs samples alike.
        loss: "ce", "focal" or "dice", see `losses.loss_of`.
        label_smoothing: share of each target that is spread over all classes, 0 … 1; of "ce".
        optimizer: "adamw" or "adam".
        lr: largest learning rate.
        weight_decay: of the optimiser.
        schedule: "cosine" lets the rate rise and fall, "constant" keeps it.
        warmup: share of the steps in which the rate rises; after that it falls along a cosine.
        patience: epochs without a smaller validation loss after which training ends, with the weights of
            the best one; None trains to the end.

    Raises:
        InvalidRequest: a setting is out of its range.
    """

    def __init__(
        self,
        backbone: str = "planar_vit_nano",
        checkpoint: str | None = None,
        backbone_args: dict[str, Any] | None = None,
        in_channels: int | None = None,
        num_classes: int | None = None,
        freeze: bool = False,
        dense: bool | None = None,
        class_weights: list[float] | Literal["balanced"] | None = None,
        loss: Loss = "ce",
        label_smoothing: float = 0.0,
        optimizer: Literal["adamw", "adam"] = "adamw",
        lr: float = 1e-3,
        weight_decay: float = 0.05,
        schedule: Literal["cosine", "constant"] = "cosine",
        warmup: float = 0.1,
        patience: int | None = None,
    ) -> None:
        check_ranges(locals(), _RANGES)
        self.backbone: nn.Module | None = None
        super().__init__()

    def configure_models(self) -> None:
        """Build the backbone and the head, if it is known how large they are."""
        channels, classes = self.hparams["in_channels"], self.hparams["num_classes"]
        checkpoint = self.hparams["checkpoint"]
        if classes is None or (channels is None and checkpoint is None):
            return
        if checkpoint is not None:
            self.start_from(load_backbone(checkpoint))
        else:
            arguments = self.hparams["backbone_args"] or {}
            made = create("backbones", self.hparams["backbone"], in_channels=channels, **arguments)
            self.start_from(made)

    def start_from(self, backbone: nn.Module) -> None:
        """Take a backbone as it is, under a head with fresh weights; `num_classes` must be known."""
        learns = not self.hparams["freeze"]
        # Lightning trains in the mode that it finds.
        self.backbone = backbone.requires_grad_(learns).train(learns)
        self.head = nn.Linear(int(backbone.embed_dim), self.hparams["num_classes"])  # type: ignore[arg-type]

    def configure_model(self) -> None:
        """Ask the datamodule for what was not given, and build what is not there yet.

        Raises:
            InvalidRequest: nothing says how many bands or classes there are.
        """
        if self.backbone is not None:
            return
        datamodule = getattr(self.trainer, "datamodule", None)
        for name, source in (("num_classes", "classes"), ("in_channels", "bands")):
            found = getattr(datamodule, source, None)
            if self.hparams[name] is None and found:
                self.hparams[name] = len(found)
        self.configure_models()
        if self.backbone is None:
            raise InvalidRequest(
                "the numbers of bands and classes must be known, the data does not tell; give "
                "--model.in_channels and --model.num_classes"
            )
        self.configure_losses()
        self.configure_metrics()

    def configure_losses(self) -> None:
        """Keep the weights of the classes where the module is moved along.

        Raises:
            InvalidRequest: there are more or fewer of them than classes.
        """
        weights, classes = self.hparams["class_weights"], self.hparams["num_classes"]
        kept = None
        if isinstance(weights, list):
            if classes not in (None, len(weights)):
                raise InvalidRequest(f"class_weights must be one a class, {classes}, got {len(weights)}")
            kept = torch.tensor(weights, dtype=torch.float32)
        self.register_buffer("class_weights", kept, persistent=False)

    def configure_metrics(self) -> None:
        """Overall accuracy and macro-F1, under TorchGeo's names."""
        classes = self.hparams["num_classes"]
        if classes is None:
            return
        metrics = MetricCollection(self.make_metrics(classes))
        self.train_metrics = metrics.clone(prefix="train_")
        self.val_metrics = metrics.clone(prefix="val_")
        self.test_metrics = metrics.clone(prefix="test_")

    def configure_callbacks(self) -> list[Callback]:
        """What ends training early, if anything."""
        patience = self.hparams["patience"]
        return [] if patience is None else [KeepBest(patience)]

    def on_fit_start(self) -> None:
        """Count the classes, where they are to be weighed alike.

        Raises:
            InvalidRequest: the datamodule cannot count them.
        """
        if self.hparams["class_weights"] != "balanced":
            return
        count = getattr(getattr(self.trainer, "datamodule", None), "class_counts", None)
        if count is None:
            raise InvalidRequest(
                "balanced class weights need a PlanarDataModule, which counts its samples; give the "
                "weights themselves"
            )
        weights = balanced(count())
        self.register_buffer("class_weights", weights.to(self.device), persistent=False)

    def make_metrics(self, classes: int) -> dict[str, Metric | MetricCollection]:
        """New metrics by name, for so many classes."""
        return {
            "OverallAccuracy": MulticlassAccuracy(classes, average="micro", ignore_index=UNLABELLED),
            "AverageF1Score": MulticlassF1Score(classes, average="macro", ignore_index=UNLABELLED),
        }

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimiser, and a rate that rises, then falls along a cosine, step by step, or stays."""
        free = [parameter for parameter in self.parameters() if parameter.requires_grad]
        made = torch.optim.AdamW if self.hparams["optimizer"] == "adamw" else torch.optim.Adam
        optimizer = made(free, lr=self.hparams["lr"], weight_decay=self.hparams["weight_decay"])
        if self.hparams["schedule"] == "constant":
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = warmup_cosine(optimizer, steps=steps, warmup=self.hparams["warmup"])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def train(self, mode: bool = True) -> "RegionClassification":
        """Switch to training; a frozen backbone stays as it is."""
        super().train(mode)
        if self.hparams["freeze"] and self.backbone is not None:
            self.backbone.eval()
        return self

    def forward(self, batch: Batch, *, dense: bool = False) -> Tensor:
        """Scores of classes: (B, K) of regions, or (B, L, K) or (B, H, W, K) of their pixels."""
        assert self.backbone is not None
        features = self.backbone(batch)
        return self.head(features.pixels if dense else features.embedding)  # type: ignore[no-any-return]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of a batch, logged."""
        return self._step(batch, "train")

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log loss and metrics."""
        self._step(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log loss and metrics."""
        self._step(batch, "test")

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Probabilities of classes, in the shapes of `forward`."""
        return self(batch, dense=self._dense(batch)).softmax(-1)  # type: ignore[no-any-return]

    def _step(self, batch: Batch, stage: str) -> Tensor:
        dense = self._dense(batch)
        scores, target = self(batch, dense=dense), _target(batch, dense=dense)
        scores, target = scores.flatten(0, -2), target.flatten()
        weights: Any = self.class_weights
        loss = loss_of(
            self.hparams["loss"], scores, target, weights=weights,
            label_smoothing=self.hparams["label_smoothing"],
        )  # fmt: skip
        samples = len(batch["image"])
        self.log(f"{stage}_loss", loss, batch_size=samples, prog_bar=stage == "train")
        if (target != UNLABELLED).any():
            getattr(self, f"{stage}_metrics").update(scores.detach(), target)
        return loss

    def _dense(self, batch: Batch) -> bool:
        wanted = self.hparams["dense"]
        return "mask" in batch if wanted is None else bool(wanted)


def balanced(counts: Tensor) -> Tensor:
    """Weights of classes: N / (K n), 0 where there is no sample.

    Args:
        counts: (K,) int64 samples of each class, n.

    Returns:
        (K,) float32; K counts the classes that have samples.

    >>> balanced(torch.tensor([1, 3, 0]))
    tensor([2.0000, 0.6667, 0.0000])
    """
    known = counts > 0
    return torch.where(known, counts.sum() / (known.sum() * counts.clamp(min=1)), 0).float()


def _target(batch: Batch, *, dense: bool) -> Tensor:
    """Classes (B,) of regions, or (B, L) or (B, H, W) of their pixels.

    Pixels are unlabelled where nothing was ever clear, and where they pad.
    """
    if not dense:
        return batch["label"]
    seen = batch["clear"].any(1)
    if "index" in batch:
        seen = seen & (batch["index"] >= 0)
    alone = batch["label"].view(-1, *[1] * (seen.ndim - 1))
    return torch.where(seen, batch.get("mask", alone), UNLABELLED)

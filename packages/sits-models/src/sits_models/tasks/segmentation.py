"""Naming the class of each pixel, from planar views or from chips."""

from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassJaccardIndex

from sits_models.contract import Batch
from sits_models.tasks.classification import RegionClassification
from sits_models.tasks.losses import UNLABELLED


class PixelSegmentation(RegionClassification):
    """A backbone and one linear layer on the features of single pixels.

    A pixel that has no class of its own (`mask`) has its region's. Backbones that take chips see pixels
    as they lie on the ground (`data.form` "chip"); those that take planar images see them along curves,
    and `predict` puts their scores back, the mean where views overlap.

    Its arguments are those of `RegionClassification`; `dense` is as if it were True.
    """

    def make_metrics(self, classes: int) -> dict[str, Metric | MetricCollection]:
        """With the mean intersection over union, TorchGeo's `AverageJaccardIndex`."""
        index = MulticlassJaccardIndex(classes, average="macro", ignore_index=UNLABELLED)
        return {**super().make_metrics(classes), "AverageJaccardIndex": index}

    def _dense(self, batch: Batch) -> bool:
        return True

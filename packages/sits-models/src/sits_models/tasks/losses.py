"""What a classifier's scores cost: cross-entropy, focal loss, Dice loss."""

from typing import Literal

import torch
from segmentation_models_pytorch.losses import DiceLoss  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn import functional

Loss = Literal["ce", "focal", "dice"]

UNLABELLED = -1
_GAMMA = 2.0


def loss_of(
    loss: Loss,
    scores: Tensor,
    target: Tensor,
    *,
    weights: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """The mean over labelled samples; 0 where there is none.

    Args:
        loss: "ce" is cross-entropy; "focal" is cross-entropy times (1 - p)², p the probability of the
            true class (Lin et al., ICCV 2017); "dice" is 1 - the Dice coefficient of probabilities, the
            mean over the classes that occur (Milletari et al., 3DV 2016).
        scores: (N, K) float.
        target: (N,) int64 classes, -1 = unlabelled.
        weights: (K,) of classes; "dice" weighs classes alike anyway and leaves them out.
        label_smoothing: share of each target that is spread over all classes; of "ce" alone.
    """
    known = target != UNLABELLED
    if loss == "dice":
        # Samples as the positions of one image: classes are counted over the whole batch.
        dice = DiceLoss(mode="multiclass", ignore_index=UNLABELLED)
        return dice(scores.T[None], target[None]) if known.any() else scores.sum() * 0
    each = functional.cross_entropy(
        scores, target, weight=weights, ignore_index=UNLABELLED, reduction="none",
        label_smoothing=label_smoothing if loss == "ce" else 0.0,
    )  # fmt: skip
    if loss == "focal":
        right = scores.softmax(-1).gather(1, target.clamp(min=0)[:, None])[:, 0]
        each = each * (1 - right) ** _GAMMA
    weight = known.float() if weights is None else weights[target.clamp(min=0)] * known
    # A batch may hold no label at all; the mean over nothing would be NaN.
    return each.sum() / weight.sum().clamp(min=torch.finfo(torch.float32).tiny ** 0.5)

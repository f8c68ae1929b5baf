"""How the learning rate moves through a run."""

from lightly.utils.scheduler import CosineWarmupScheduler
from torch.optim import Optimizer


def warmup_cosine(optimizer: Optimizer, *, steps: int, warmup: float) -> CosineWarmupScheduler:
    """A linear rise to the optimiser's rate, then a cosine down to a thousandth of it.

    Args:
        optimizer: whose rates are scaled, step by step.
        steps: of the whole run, at least 1.
        warmup: share of the steps that rise, 0 … 1.
    """
    rising = max(1, round(steps * warmup))
    return CosineWarmupScheduler(
        optimizer,
        warmup_epochs=rising,
        max_epochs=max(steps, rising + 1),
        warmup_start_value=1 / rising,
        end_value=0.001,
    )

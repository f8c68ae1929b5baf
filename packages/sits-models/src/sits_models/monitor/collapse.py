"""The alarm for the commonest failure of self-supervised learning: all embeddings become one."""

import logging
import math

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from sits_models.monitor.spread import embedding_std, rankme

_log = logging.getLogger("sits_models")


class CollapseAlarm(Callback):
    """Warns once, and logs `collapsed`, when the embeddings of batches have become alike.

    A loss can fall all the while. Looked at every `every_n_steps` steps, after the first ones; the
    alarm goes off when the mean of the last three looks is too low.

    Args:
        min_std: of `embedding_std`, which is 1 for embeddings that point everywhere.
        min_rank: of `rankme`.
        max_entropy: of a teacher, as a share of a uniform answer's, where a method logs it.
        every_n_steps: how often.
        patience: steps before the first look.
    """

    def __init__(
        self,
        min_std: float = 0.05,
        min_rank: float = 1.5,
        max_entropy: float = 0.999,
        every_n_steps: int = 10,
        patience: int = 20,
    ) -> None:
        self.min_std, self.min_rank, self.max_entropy = min_std, min_rank, max_entropy
        self.every_n_steps, self.patience = every_n_steps, patience
        self.collapsed = False
        self._looks: list[tuple[float, float, float]] = []

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Look at the embeddings of the batch, if it is time."""
        step = trainer.global_step
        embedding = getattr(pl_module, "last_embedding", None)
        if step < self.patience or step % self.every_n_steps or not isinstance(embedding, Tensor):
            return
        if len(embedding) < 2:
            return
        entropy = trainer.callback_metrics.get("teacher_entropy")
        look = embedding_std(embedding), rankme(embedding), float(entropy or 0)
        self._looks = [*self._looks[-2:], look]
        std, rank, undecided = (
            sum(values) / len(self._looks) for values in zip(*self._looks, strict=True)
        )
        reasons = [
            (not math.isfinite(std), "embeddings are not finite"),
            (std < self.min_std, f"embedding_std is {std:.3f}, below {self.min_std}"),
            (rank < self.min_rank, f"rankme is {rank:.2f}, below {self.min_rank}"),
            (undecided > self.max_entropy, f"the teacher's entropy is {undecided:.4f} of a uniform one"),
        ]
        why = [text for holds, text in reasons if holds]
        if len(self._looks) == 3 and why and not self.collapsed:
            self.collapsed = True
            _log.warning(
                "the embeddings have collapsed at step %d (%s); lower the learning rate or the "
                "teacher's temperature, or make batches larger",
                step,
                "; ".join(why),
            )
        pl_module.log("collapsed", float(self.collapsed))

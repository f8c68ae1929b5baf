"""DINO: a student that sees little of a region says what a slowly moving teacher says of more of it.

Source: Caron et al., Emerging properties in self-supervised vision transformers (ICCV 2021,
arXiv 2104.14294). Here crops are planar: short in time and along the curve.
"""

import copy
import math
from collections.abc import Sequence

import torch
from lightly.loss import DINOLoss
from lightly.models.modules import DINOProjectionHead
from lightly.models.utils import update_momentum
from lightly.utils.scheduler import cosine_schedule
from torch import Tensor, nn

from sits_models.data.regions import RegionBatch
from sits_models.methods.base import RANGES, Method
from sits_models.ranges import COUNT, NOT_NEGATIVE, POSITIVE, SHARE, Range, check_ranges
from sits_models.views.planar import View, draw

_RANGES = {
    **RANGES,
    "local_crops": NOT_NEGATIVE,
    "local_length": COUNT,
    "local_dates": COUNT,
    "out_dim": Range(2),
    "student_temperature": POSITIVE,
    "teacher_temperature": POSITIVE,
    "center_momentum": SHARE,
    "momentum": SHARE,
    "clip": POSITIVE,
}


class DINO(Method):
    """Self-distillation without labels and without negatives: two global crops, several local ones.

    Args:
        backbone: name of a registered one.
        in_channels: bands.
        length: positions of a global crop.
        dates: dates of a global crop, scattered over the period.
        local_crops: how many local crops.
        local_length: positions of a local crop.
        local_dates: dates of a local crop, following each other.
        curves: of which each crop takes one, see `sits_data.orders.names`.
        gain: how much brighter or darker each band of a view may be, see `View`; 0 for none.
        out_dim: width of what the loss compares.
        student_temperature: of the student's softmax.
        teacher_temperature: of the teacher's softmax; a lower one is sharper.
        center_momentum: of the mean that is taken off the teacher's output.
        momentum: of the teacher at the start; it rises to 1.
        lr: highest learning rate of AdamW.
        weight_decay: of matrices.
        warmup: share of the steps in which the learning rate rises, 0 … 1.
        clip: largest norm of the gradient.

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
        local_crops: int = 4,
        local_length: int = 16,
        local_dates: int = 8,
        curves: Sequence[str] = ("hilbert", "snake", "walk"),
        gain: float = 0.2,
        out_dim: int = 1024,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.06,
        center_momentum: float = 0.9,
        momentum: float = 0.99,
        lr: float = 1e-3,
        weight_decay: float = 0.04,
        warmup: float = 0.1,
        clip: float = 3.0,
    ) -> None:
        check_ranges(locals(), _RANGES)
        super().__init__()

    def configure_models(self) -> None:
        """Student and teacher, equal at the start; the teacher gets no gradient."""
        self.model = self.make_backbone()
        width = int(self.model.embed_dim)
        sizes = width, 4 * width, width, self.hparams["out_dim"]
        self.student_head, self.teacher_head = DINOProjectionHead(*sizes), DINOProjectionHead(*sizes)
        self.teacher_head.load_state_dict(self.student_head.state_dict())
        self.teacher_head.requires_grad_(requires_grad=False)
        self.teacher = copy.deepcopy(self.model).requires_grad_(requires_grad=False)

    def configure_losses(self) -> None:
        """Cross-entropy between centred, sharpened outputs."""
        temperature = self.hparams["teacher_temperature"]
        self.criterion = DINOLoss(
            self.hparams["out_dim"],
            warmup_teacher_temp=temperature,
            teacher_temp=temperature,
            student_temp=self.hparams["student_temperature"],
            center_momentum=self.hparams["center_momentum"],
        )

    @property
    def backbone(self) -> nn.Module:
        """The teacher: the average of many students is better than the last one."""
        teacher: nn.Module = self.teacher
        return teacher

    @property
    def views(self) -> tuple[View, ...]:
        """Two global crops, then the local ones."""
        settings = self.hparams
        shared = {"curves": tuple(settings["curves"]), "gain": settings["gain"]}
        whole = View(settings["length"], settings["dates"], **shared)
        part = View(settings["local_length"], settings["local_dates"], "window", **shared)
        return (whole, whole, *[part] * settings["local_crops"])

    def loss_of(self, batch: RegionBatch) -> Tensor:
        """Cross-entropy of every student crop against every other teacher crop."""
        count = len(self.views)
        crops = [draw(batch, self.views[0], 0, 1)]
        if count > 2:
            crops.append(draw(batch, self.views[2], *range(2, count)))
        with torch.no_grad():
            seen = self.teacher(crops[0]).embedding
            taught = self.teacher_head(seen).chunk(2)
        self.last_embedding = seen[: len(batch)]
        embeddings = torch.cat([self.model(crop).embedding for crop in crops])
        said = self.student_head(embeddings).chunk(count)
        self._log_entropy(taught)
        loss: Tensor = self.criterion(taught, said)
        return loss

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip to `clip` unless the trainer was told otherwise."""
        self.clip_gradients(
            optimizer,
            gradient_clip_val=gradient_clip_val or self.hparams["clip"],
            gradient_clip_algorithm=gradient_clip_algorithm or "norm",
        )

    def on_train_batch_end(self, *args: object) -> None:
        """Let the teacher follow the student."""
        step, start = self.trainer.global_step, self.hparams["momentum"]
        momentum = cosine_schedule(min(step, self.total_steps) - 1, self.total_steps, start, 1.0)
        update_momentum(self.model, self.teacher, momentum)
        update_momentum(self.student_head, self.teacher_head, momentum)

    def _log_entropy(self, taught: list[Tensor]) -> None:
        """How undecided the teacher is: 1 is a uniform answer, one sign of a collapse."""
        centred = torch.cat(taught) - self.criterion.center[0]
        share = (centred / self.hparams["teacher_temperature"]).softmax(-1)
        entropy = -(share * share.clamp(min=1e-12).log()).sum(-1).mean()
        relative = entropy / math.log(self.hparams["out_dim"])
        self.log("teacher_entropy", relative, on_step=True, on_epoch=False, batch_size=len(taught[0]))

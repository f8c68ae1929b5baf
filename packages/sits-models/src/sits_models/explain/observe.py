"""One classifier watched as it reads regions, whatever its backbone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sits_data.orders import parse_curve
from sits_models.backbones.planar_vit import PlanarViT
from sits_models.bench.features import curve_of, view_length
from sits_models.catalogue import Form
from sits_models.checkpoint import ModelCard
from sits_models.contract import Batch
from sits_models.data.normalisation import Normalisation
from sits_models.data.table import PixelTable
from sits_models.data.task_views import TaskViews
from sits_models.data.windows import Shown, Windows, walks_of
from sits_models.errors import InvalidConfig
from sits_models.explain.attention import attention
from sits_models.explain.cam import Pictured, grad_cam
from sits_models.explain.saliency import Classifier, How, Saliency, by_gradient

_WALK = "walk:iid"

WAYS: Final[dict[How, Callable[[Classifier, Batch, Tensor | None], Saliency]]] = {
    "gradcam++": grad_cam,
    "attention": attention,
    "gradient": by_gradient,
}


def how_to_observe(backbone: nn.Module) -> How:
    """Attention of a `PlanarViT`, Grad-CAM++ of a convolutional network, of all others the gradient."""
    if isinstance(backbone, PlanarViT):
        return "attention"
    return "gradcam++" if isinstance(backbone, Pictured) else "gradient"


@dataclass(frozen=True, eq=False)
class Reading:
    """How regions are shown to a classifier.

    Args:
        normalisation: of the values.
        form: of the samples that the backbone takes.
        curve: that windows are cut along; None is the table's first.
        length: positions of a window.
        walks: views of walks, in place of windows.
        batch_size: images at once.
        device: that computes.
        seed: of the walks.
    """

    normalisation: Normalisation
    form: Form
    curve: str | None
    length: int
    walks: TaskViews | None
    batch_size: int
    device: torch.device
    seed: int = 0

    def images(self, table: PixelTable, regions: NDArray[np.int64]) -> Iterator[Shown]:
        """All images of some regions of a table, (R,) int64 positions in it; see `Shown`."""
        if self.walks is not None:
            return walks_of(
                table, regions, views=self.walks, normalisation=self.normalisation, seed=self.seed,
                device=self.device, batch_size=self.batch_size,
            )  # fmt: skip
        windows = Windows(
            table, torch.from_numpy(regions), self.form, curve_of(table, self.curve), self.length,
            self.batch_size, self.normalisation, self.device,
        )  # fmt: skip
        return iter(windows)


def reading_of(
    card: ModelCard,
    form: Form,
    *,
    order: str | None = None,
    length: int | None = None,
    walks: float | None = None,
    batch_size: int = 64,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> Reading:
    """How a classifier was shown regions when it was trained, but for what is asked for otherwise.

    Args:
        card: of the classifier.
        form: of the samples that its backbone takes.
        order: a curve; walks are drawn by the law of one that is a walk.
        length: positions of an image.
        walks: of each region, see `each_walk`; None shows a model that was trained on walks as many,
            and others windows.
        batch_size: images at once.
        device: that computes.
        seed: of the walks.

    Raises:
        InvalidConfig: walks or a curve are asked of a backbone that takes chips.
        InvalidRequest: there is no such curve.
    """
    if form == "chip" and (walks, order, length) != (None, None, None):
        raise InvalidConfig(
            f"{card.backbone} takes regions as they lie on the ground, which have no walks, order or "
            "length; leave these out"
        )
    views = card.views.get("views")
    trained = views[0] if isinstance(views, list) and views and isinstance(views[0], dict) else {}
    if walks is None and isinstance(trained.get("walks"), int | float) and order is None:
        walks = trained["walks"]  # type: ignore[assignment]
    own = trained.get("order")
    chosen = order or (own if isinstance(own, str) else None)
    long = length or view_length(card)
    drawn = chosen is not None and parse_curve(chosen).drawn
    shown = None
    if walks is not None or drawn:
        law = chosen if chosen is not None and drawn else _WALK
        shown = TaskViews(long, order=law, walks=0.7 if walks is None else walks)
    return Reading(
        normalisation=card.normalisation,
        form=form,
        curve=None if drawn else chosen,
        length=long,
        walks=shown,
        batch_size=batch_size,
        device=torch.device(device),
        seed=seed,
    )

"""Which dates a classifier looks at: profiles of classes, and the dates that are worth keeping.

Source: Chelali et al., CVIU 208-209 (2021) 103221, section 3.6, equations 2 and 3. Equation 3 multiplies
the thresholded profiles of all images of a class, which of many images leaves nothing; figure 9 of the
paper thresholds their mean, which is the rule here.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.filters import threshold_otsu
from torch import Tensor

from sits_data.errors import InvalidRequest

Rule = Literal["otsu", "intersection", "quantile"]


@dataclass(eq=False)
class Profiles:
    """The mean temporal profile of each class, batch after batch.

    Args:
        classes: K.
        dates: T.
    """

    classes: int
    dates: int
    _sum: Tensor = field(init=False)
    _above: Tensor = field(init=False)
    _images: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self._sum, self._above = torch.zeros(2, self.classes, self.dates, dtype=torch.float64)
        self._images = torch.zeros(self.classes, dtype=torch.int64)

    def add(self, values: Tensor, target: Tensor) -> None:
        """Count a batch: saliency (B, T, L) of the classes (B,)."""
        profile, target = values.sum(2).double().cpu(), target.cpu()
        self._sum.index_add_(0, target, profile)
        above = np.stack([_above_otsu(one) for one in profile.numpy()])
        self._above.index_add_(0, target, torch.from_numpy(above).double())
        self._images += torch.bincount(target, minlength=self.classes)

    @property
    def images(self) -> NDArray[np.int64]:
        """(K,) how many images each class was named in."""
        return self._images.numpy()

    @property
    def mean(self) -> NDArray[np.float64]:
        """(K, T); NaN of a class that no image was named."""
        count = np.where(self.images > 0, self.images, np.nan)
        return np.asarray(self._sum.numpy() / count[:, None])

    def kept(self, rule: Rule = "otsu", *, quantile: float = 0.5) -> NDArray[np.bool_]:
        """The dates that any class looks at: (T,).

        Args:
            rule: "otsu" keeps what lies above Otsu's threshold of a class's mean profile;
                "intersection" what lies above that of each of its images; "quantile" what is not below
                that quantile of the mean.
            quantile: of "quantile", 0 … 1.

        Raises:
            InvalidRequest: the quantile is out of its range.
        """
        if not 0 <= quantile <= 1:
            raise InvalidRequest(f"a quantile must be from 0 to 1, got {quantile}")
        named, mean = self.images > 0, self.mean
        if rule == "intersection":
            each = self._above.numpy() == self.images[:, None]
        elif rule == "quantile":
            each = mean >= np.quantile(np.nan_to_num(mean), quantile, axis=1, keepdims=True)
        else:
            each = np.stack([_above_otsu(np.nan_to_num(one)) for one in mean])
        return np.asarray((each & named[:, None]).any(0))


def _above_otsu(profile: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Dates above the threshold; of a flat profile all."""
    if np.ptp(profile) == 0:
        return np.ones(len(profile), bool)
    return np.asarray(profile > threshold_otsu(profile))  # type: ignore[no-untyped-call]

"""The sample that every dataset gives and every model takes."""

from typing import NotRequired, TypedDict

from torch import Tensor


class Sample(TypedDict):
    """One region as a planar image, with TorchGeo's keys.

    Args:
        image: (C, T, L) float32 reflectance, unit 1; 0 where nothing was observed.
        dates: (T,) int64, days since 1970-01-01.
        clear: (T, L) bool, True = usable.
        index: (L,) int64, the region's row that each position shows; -1 = padding.
        yx: (L, 2) float32, metres south and east of the region's centroid.
        region: () int64, the region's id in its store.
        label: () int64, class of the region, -1 = unlabelled.
        mask: (L,) int64, class of each position, where labels come from a raster.
    """

    image: Tensor
    dates: Tensor
    clear: Tensor
    index: Tensor
    yx: Tensor
    region: Tensor
    label: NotRequired[Tensor]
    mask: NotRequired[Tensor]

"""The sample that every dataset gives, and the batch that every model takes."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict, cast

import torch
from torch import Tensor
from torch.nn import functional


class Sample(TypedDict):
    """One region as a planar image, with TorchGeo's keys.

    Args:
        image: (C, T, L) float32, normalised, or reflectance (unit 1) where no normalisation was
            given; 0 where nothing was observed and at padded positions.
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


class Batch(TypedDict):
    """Some planar images, padded at the tail to the longest.

    Args:
        image: (B, C, T, L) float32; 0 where nothing was observed and where padded.
        dates: (B, T) int64, days since 1970-01-01; 0 where padded.
        clear: (B, T, L) bool, True = usable; False where padded.
        pad_mask: (B, T) bool, True = a real date.
        length: (B,) int64, number of real dates.
        index: (B, L) int64, the region's row that each position shows; -1 = padding.
        yx: (B, L, 2) float32, metres south and east of the region's centroid; 0 where padded.
        region: (B,) int64, id in its store.
        label: (B,) int64, class of the region, -1 = unlabelled.
        mask: (B, L) int64, class of each position, -1 = unlabelled or padded.
    """

    image: Tensor
    dates: Tensor
    clear: Tensor
    pad_mask: Tensor
    length: Tensor
    index: Tensor
    yx: Tensor
    region: Tensor
    label: NotRequired[Tensor]
    mask: NotRequired[Tensor]


_AXES = {"image": "ctl", "dates": "t", "clear": "tl", "index": "l", "yx": "l2", "mask": "l"}
_FILL = {"index": -1, "mask": -1}


def collate(samples: Sequence[Sample]) -> Batch:
    """Samples of any number of dates and positions as one batch.

    Args:
        samples: at least one, of the same bands and the same keys.

    Returns:
        Padded at the tail: values 0, `index` and `mask` -1, `clear` and `pad_mask` False.
    """
    dates = max(sample["image"].shape[1] for sample in samples)
    positions = max(sample["image"].shape[2] for sample in samples)
    length = torch.tensor([sample["image"].shape[1] for sample in samples])
    tensors = [cast(dict[str, Tensor], sample) for sample in samples]
    batch = {
        key: torch.stack([_padded(key, one[key], dates, positions) for one in tensors])
        for key in tensors[0]
    }
    batch |= {"length": length, "pad_mask": torch.arange(dates) < length[:, None]}
    return cast(Batch, batch)


def _padded(key: str, value: Tensor, dates: int, positions: int) -> Tensor:
    axes = _AXES.get(key, "")
    wanted = {"t": dates, "l": positions}
    pads: list[int] = []
    for axis, size in zip(reversed(axes), reversed(value.shape), strict=True):
        pads += [0, wanted.get(axis, size) - size]
    return functional.pad(value, pads, value=_FILL.get(key, 0)) if any(pads) else value

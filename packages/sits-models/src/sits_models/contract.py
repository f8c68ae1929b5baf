"""The sample that every dataset gives, and the batch that every model takes."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict, cast

import torch
from torch import Tensor
from torch.nn import functional


class Sample(TypedDict):
    """One region, or one pixel of it, with TorchGeo's keys.

    Args:
        image: float32, normalised, or reflectance (unit 1) where no normalisation was given; 0 where
            nothing was observed and at padded positions. A planar image is (C, T, L), of a pixel with
            L = 1; a bag of walks (K, C, T, L); a chip (T, C, H, W).
        dates: (T,) int64, days since 1970-01-01.
        clear: bool, True = usable: (T, L), (K, T, L) or (T, H, W).
        index: int64, the region's row that each position shows, -1 = padding: (L,) or (K, L); a chip
            has none.
        yx: float32, metres south and east of the region's centroid: (L, 2), (K, L, 2) or (H, W, 2).
        region: () int64, the region's id in its store.
        label: () int64, class of the region or of the pixel, -1 = unlabelled.
        mask: int64, class of each position, where labels come from a raster: (L,), (K, L) or (H, W).
    """

    image: Tensor
    dates: Tensor
    clear: Tensor
    index: NotRequired[Tensor]
    yx: Tensor
    region: Tensor
    label: NotRequired[Tensor]
    mask: NotRequired[Tensor]


class Batch(TypedDict):
    """Some samples of one form, padded at the tail to the longest; the batch axis B comes first.

    Args:
        image: float32 (B, C, T, L), (B, K, C, T, L) or (B, T, C, H, W); 0 where nothing was observed
            and where padded.
        dates: (B, T) int64, days since 1970-01-01; 0 where padded.
        clear: bool (B, T, L), (B, K, T, L) or (B, T, H, W), True = usable; False where padded.
        pad_mask: (B, T) bool, True = a real date.
        length: (B,) int64, number of real dates.
        index: int64 (B, L) or (B, K, L), the region's row that each position shows; -1 = padding.
        yx: float32 (B, L, 2), (B, K, L, 2) or (B, H, W, 2), metres south and east of the region's
            centroid; 0 where padded.
        region: (B,) int64, id in its store.
        label: (B,) int64, class of the region or of the pixel, -1 = unlabelled.
        mask: int64 (B, L), (B, K, L) or (B, H, W), class of each position, -1 = unlabelled or padded.
        target: (B,) int64, which of several labels of its region `label` is; n is that of period n + 1
            against period n.
    """

    image: Tensor
    dates: Tensor
    clear: Tensor
    pad_mask: Tensor
    length: Tensor
    index: NotRequired[Tensor]
    yx: Tensor
    region: Tensor
    label: NotRequired[Tensor]
    mask: NotRequired[Tensor]
    target: NotRequired[Tensor]


_SPACE = {"curve": "l", "walks": "kl", "chip": "hw"}
_FILL = {"index": -1, "mask": -1}


def collate(samples: Sequence[Sample]) -> Batch:
    """Samples of one form, of any number of dates and positions, as one batch.

    Args:
        samples: at least one, of the same bands and the same keys.

    Returns:
        Padded at the tail: values 0, `index` and `mask` -1, `clear` and `pad_mask` False.
    """
    axes = _axes_of(samples[0])
    tensors = [cast(dict[str, Tensor], sample) for sample in samples]
    longest: dict[str, int] = {}
    for one in tensors:
        for key, names in axes.items():
            if key in one:
                for name, size in zip(names, one[key].shape, strict=True):
                    longest[name] = max(size, longest.get(name, 0))
    batch = {
        key: torch.stack([_padded(key, one[key], axes.get(key, ""), longest) for one in tensors])
        for key in tensors[0]
    }
    length = torch.tensor([len(sample["dates"]) for sample in samples])
    batch |= {"length": length, "pad_mask": torch.arange(longest["t"]) < length[:, None]}
    return cast(Batch, batch)


def cut_sample(batch: Batch, number: int, extent: Mapping[str, int] | None = None) -> Sample:
    """One sample of a batch, without what pads it.

    Args:
        batch: of any form.
        number: which, 0 … B-1.
        extent: how long its axes are, by their letters: t dates, l positions, h rows, w columns; what is
            not named stays as it is.
    """
    known, whole = cast(dict[str, Tensor], batch), extent or {}
    sample = {key: value[number] for key, value in known.items() if key not in ("pad_mask", "length")}
    axes = _axes_of(cast(Sample, sample))
    for key, value in sample.items():
        ends = tuple(slice(whole.get(axis)) for axis in axes.get(key, ""))
        sample[key] = value[ends].contiguous()
    return cast(Sample, sample)


def _axes_of(sample: Sample) -> dict[str, str]:
    """The axes of each tensor, a letter each."""
    form = "curve" if sample["image"].ndim == 3 else "walks" if "index" in sample else "chip"
    space = _SPACE[form]
    image = {"curve": "ctl", "walks": "kctl", "chip": "tchw"}[form]
    clear = image.replace("c", "")
    return {
        "image": image, "dates": "t", "clear": clear, "index": space, "yx": f"{space}2", "mask": space
    }  # fmt: skip


def _padded(key: str, value: Tensor, axes: str, longest: Mapping[str, int]) -> Tensor:
    pads: list[int] = []
    for axis, size in zip(reversed(axes), reversed(value.shape), strict=True):
        pads += [0, longest[axis] - size]
    return functional.pad(value, pads, value=_FILL.get(key, 0)) if any(pads) else value
